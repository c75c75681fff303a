"""A member of a consumer group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from zlib import crc32

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from services.runtime.kafka.client import RECONNECT_MS, REQUEST_MS, asking, record
from services.runtime.kafka.header_names import tolerate
from services.runtime.transport import Partition, Record

log = structlog.get_logger()
PATIENT_MS, PATIENT_BYTES = 200, 1_000_000


class GroupConsumer:
    """A member of a consumer group (`transport.Consumer`)."""

    def __init__(
        self, servers: str, group: str, topics: Sequence[str], *, member: str | None, session_ms: int = 6000,
        patient: bool = False,
    ) -> None:  # fmt: skip
        tolerate()
        with asking("joining the group"):
            self._client = KafkaConsumer(
                *topics, bootstrap_servers=servers.split(","), group_id=group,
                group_instance_id=_static_id(member, topics) if member else None,
                client_id=member or group, metrics_enabled=False,
                enable_auto_commit=False, auto_offset_reset="earliest",
                session_timeout_ms=session_ms, heartbeat_interval_ms=500, max_poll_interval_ms=30_000,
                request_timeout_ms=max(REQUEST_MS, session_ms) + 1000, reconnect_backoff_max_ms=RECONNECT_MS,
                fetch_max_wait_ms=PATIENT_MS if patient else 500, fetch_min_bytes=PATIENT_BYTES if patient else 1,
            )  # fmt: skip
            for topic in topics:  # a leader that does not know a topic yet gives its partitions to nobody
                self._client.partitions_for_topic(topic)

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """See `transport.Consumer`."""
        with asking("polling"):
            batches = self._client.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [record(r) for batch in batches.values() for r in batch]

    def assignment(self) -> frozenset[Partition]:
        """See `transport.Consumer`."""
        return frozenset((tp.topic, tp.partition) for tp in self._client.assignment() or ())

    def seek(self, partition: Partition, offset: int) -> None:
        """See `transport.Consumer`."""
        with suppress(ValueError, AssertionError, KafkaError):  # not assigned any more: nothing to seek
            self._client.seek(TopicPartition(*partition), offset)

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = False) -> None:
        """See `transport.Consumer`."""
        positions = {TopicPartition(*tp): OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()}
        try:
            if wait:
                self._client.commit(positions)
            else:
                self._client.commit_async(positions, callback=_log_commit)
        except (KafkaError, OSError, AssertionError) as error:
            log.info("offsets.not_committed", error=type(error).__name__)

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        with asking("asking for end offsets"):
            ends = self._client.end_offsets([TopicPartition(*p) for p in partitions])
        return {(tp.topic, tp.partition): offset for tp, offset in ends.items()}

    def starts(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        with asking("asking for start offsets"):
            starts = self._client.beginning_offsets([TopicPartition(*p) for p in partitions])
        return {(tp.topic, tp.partition): offset for tp, offset in starts.items()}

    def position(self, partition: Partition) -> int:
        """See `transport.Consumer`."""
        with suppress(AssertionError, KafkaError):  # not assigned any more, or no answer: it proves nothing
            return int(self._client.position(TopicPartition(*partition), timeout_ms=REQUEST_MS) or 0)
        return 0

    def partition_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        """See `transport.Consumer`."""
        with asking("asking for partitions"):
            found = {topic: self._client.partitions_for_topic(topic) for topic in topics}
        return {topic: len(partitions) for topic, partitions in found.items() if partitions}

    def close(self) -> None:
        """See `transport.Consumer`."""
        with suppress(KafkaError, OSError):
            self._client.close(timeout_ms=3000)


def _static_id(member: str, topics: Sequence[str]) -> str:
    """The member's name, another one for other topics: the broker gives a static member that is back in time what it
    had before, whatever it asks for now, so that nobody would ever get the partitions of a new topic.
    """
    return f"{member}-{crc32(' '.join(sorted(topics)).encode()):08x}"


def _log_commit(_offsets: Any, outcome: Any) -> None:
    if isinstance(outcome, Exception):
        log.info("offsets.not_committed", error=type(outcome).__name__)
