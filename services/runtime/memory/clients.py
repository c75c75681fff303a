"""Those who read and write the log in memory: consumer, reader, producer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from services.runtime.errors import Unavailable
from services.runtime.memory.log import MemoryLog
from services.runtime.transport import Message, Partition, Record


class _Cursor:
    """Reads partitions, each from its own position on."""

    def __init__(self, log: MemoryLog) -> None:
        self.log, self.positions = log, dict[Partition, int]()

    def take(self, max_records: int) -> list[Record]:
        found: list[Record] = []
        for partition, position in self.positions.items():
            stretch = self.log.stretch(partition)
            first = position if stretch.start <= position <= stretch.end else stretch.start
            some = stretch.records[first - stretch.start :][: max_records - len(found)]
            self.positions[partition] = first + len(some)
            found += some
        return found

    def wait(self, timeout_s: float, max_records: int, before: Callable[[], None] = lambda: None) -> list[Record]:
        deadline = time.monotonic() + min(timeout_s, self.log.longest_wait_s)
        with self.log.changed:
            while True:
                before()
                found, left = self.take(max_records), deadline - time.monotonic()
                if found or left <= 0:
                    return found
                self.log.changed.wait(left)


class MemoryConsumer:
    """A member of a consumer group (`transport.Consumer`). Members of one group have different names."""

    def __init__(self, log: MemoryLog, group: str, topics: Sequence[str], member: str) -> None:
        self._log, self._group, self._topics, self._member = log, group, tuple(topics), member
        self._cursor, self._generation, self._closed = _Cursor(log), 0, False
        if log.away:
            raise Unavailable("the log does not answer")
        log.join(group, member, self._topics)

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """See `transport.Consumer`."""
        return self._cursor.wait(timeout_s, max_records, self._follow_group)

    def assignment(self) -> frozenset[Partition]:
        """See `transport.Consumer`."""
        return frozenset(self._cursor.positions)

    def seek(self, partition: Partition, offset: int) -> None:
        """See `transport.Consumer`."""
        if partition in self._cursor.positions:
            self._cursor.positions[partition] = offset

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = False) -> None:
        """See `transport.Consumer`. Like Kafka's, it is taken from a member that has lost the partition."""
        if not self._log.away:
            self._log.committed(self._group).update(offsets)

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        return {p: self._log.stretch(p).end for p in partitions}

    def starts(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        return {p: self._log.stretch(p).start for p in partitions}

    def position(self, partition: Partition) -> int:
        """See `transport.Consumer`."""
        return self._cursor.positions.get(partition, 0)

    def partition_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        """See `transport.Consumer`."""
        return {topic: n for topic in topics if (n := self._log.count(topic))}

    def close(self) -> None:
        """See `transport.Consumer`."""
        self._closed = True
        self._log.expel(self._group, self._member)

    def _follow_group(self) -> None:
        """Take up what the group gives; after every change all positions are the committed ones again."""
        if self._log.away or self._closed:
            raise Unavailable("the log does not answer")
        share = self._log.membership(self._group, self._member)
        if share is None:
            self._log.join(self._group, self._member, self._topics)
            self._follow_group()
        elif share[0] != self._generation:
            self._generation, self._cursor.positions = share


class MemoryReader:
    """Reads whole topics without a group, as `kafka.Reader`."""

    def __init__(self, log: MemoryLog, topics: Sequence[str], start: Mapping[Partition, int] | None = None) -> None:
        self._log, self._cursor = log, _Cursor(log)
        places = [(topic, p) for topic in topics for p in range(log.count(topic))]
        self._cursor.positions = {p: (start or {}).get(p, 0) for p in places}

    def poll(self, timeout_s: float, max_records: int = 5000) -> list[Record]:
        """Next records, in order per partition."""
        return self._cursor.wait(timeout_s, max_records)

    def ends(self) -> Mapping[Partition, int]:
        """Offset that the next record of each partition will get."""
        return {p: self._log.stretch(p).end for p in self._cursor.positions}

    def to_end(self, timeout_s: float = 60.0) -> Iterator[Record]:
        """All records up to the ends as they are now."""
        ends = self.ends()
        while any(self._cursor.positions[p] < end for p, end in ends.items()):
            yield from (r for r in self.poll(0) if r.offset < ends[r.topic, r.partition])

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryProducer:
    """Writes to the log (`transport.Producer`)."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        """See `transport.Producer`."""
        failed = 0
        for n, message in enumerate(messages):
            if n % 50 == 0 and not may_send():
                raise Unavailable("too long between the check of the fence and the send")
            failed += not self._log.append(message)
        if failed:
            raise Unavailable(f"the log acknowledged all but {failed} of {len(messages)} records")

    def close(self) -> None:
        """Nothing to let go of."""
