"""The log as the engine sees it. Two implementations, one contract test: `kafka` and `memory`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Partition = tuple[str, int]
Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Record:
    """One record as it lies on the log. `timestamp_ms` is the broker's append time, milliseconds since 1970 UTC."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Message:
    """One record to write. `version` is what the compare step knows it by (0 where the topic carries no state)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    version: int = 0


class Consumer(Protocol):
    """A member of a consumer group. Every method may raise `Unavailable`."""

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """Records in order per partition; empty after `timeout_s` without any."""

    def assignment(self) -> frozenset[Partition]:
        """Partitions that the group gave to this member, as far as it knows."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read `partition` from `offset` next; without effect where it is not assigned any more."""

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = False) -> None:
        """Say that everything below these offsets is done. A failure is only logged: a commit proves nothing."""

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Offset that the next record of each partition will get."""

    def starts(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Lowest offset that each partition still holds."""

    def position(self, partition: Partition) -> int:
        """Offset from which the next poll reads, past whatever is no record; 0 where it is not assigned."""

    def partition_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        """How many partitions each topic has; a topic that does not exist is left out."""

    def close(self) -> None:
        """Leave the group."""


class Producer(Protocol):
    """Writes to the log."""

    def publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        """Write all and see every acknowledgement.

        `may_send` is asked again and again; once it says no, the rest is not handed over. Raises `Unavailable` when
        any message was not handed over or not acknowledged; some of them may be on the log all the same.
        """

    def close(self) -> None:
        """Flush and let go."""
