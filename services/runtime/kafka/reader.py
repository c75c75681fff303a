"""Reading whole topics without a group: rule books, `verify`, the console."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from services.runtime.errors import Unavailable
from services.runtime.kafka.client import RECONNECT_MS, REQUEST_MS, asking, record
from services.runtime.kafka.header_names import tolerate
from services.runtime.transport import Partition, Record


class Reader:
    """Reads whole topics without a group: rule books, `verify`, the console."""

    def __init__(self, servers: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None) -> None:
        tolerate()
        with asking("opening a reader"):
            self._client = KafkaConsumer(
                bootstrap_servers=servers.split(","), enable_auto_commit=False, auto_offset_reset="earliest",
                request_timeout_ms=REQUEST_MS + 1000, fetch_max_wait_ms=100, reconnect_backoff_max_ms=RECONNECT_MS,
            )  # fmt: skip
            found = [TopicPartition(t, p) for t in topics for p in sorted(self._client.partitions_for_topic(t) or ())]
            self._client.assign(found)
            for tp in found:
                offset = (start or {}).get((tp.topic, tp.partition))
                if offset is None:
                    self._client.seek_to_beginning(tp)
                else:
                    self._client.seek(tp, offset)
        self._partitions = found

    def poll(self, timeout_s: float, max_records: int = 5000) -> list[Record]:
        """Next records, in order per partition."""
        with asking("reading"):
            batches = self._client.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [record(r) for batch in batches.values() for r in batch]

    def ends(self) -> Mapping[Partition, int]:
        """Offset that the next record of each partition will get."""
        with asking("asking for end offsets"):
            return {(tp.topic, tp.partition): o for tp, o in self._client.end_offsets(self._partitions).items()}

    def to_end(self, timeout_s: float = 60.0) -> Iterator[Record]:
        """All records up to the ends as they are now. Raises `Unavailable` when they do not come within the time."""
        ends = {p: end for p, end in self.ends().items() if end > 0}
        deadline = time.monotonic() + timeout_s
        while any(self._position(p) < end for p, end in ends.items()):
            if time.monotonic() > deadline:
                raise Unavailable(f"Kafka did not deliver up to {ends} within {timeout_s} s")
            yield from (r for r in self.poll(0.2) if r.offset < ends.get((r.topic, r.partition), 0))

    def _position(self, partition: Partition) -> int:
        with asking("asking for a position"):
            position: int = self._client.position(TopicPartition(*partition))
        return position

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(KafkaError, OSError):
            self._client.close()
