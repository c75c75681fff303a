"""The log in memory: the transport protocol with Kafka's rules, for fast tests of the engine and of whole pipelines.

One process, nothing durable, safe for several threads. Harsher than Kafka in one point: a new member gets its
partitions at once, while their former owner learns of it only with its next poll.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from schemas.topics import Topic
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Partition, Record


@dataclass(slots=True)
class _Stretch:
    """What one partition holds: its records from offset `start` on."""

    start: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + len(self.records)


@dataclass(slots=True)
class _Group:
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    generation: int = 0


class MemoryLog:
    """Topics, partitions and groups. `now` gives the append times.

    Tests make it fail: `away` = nothing answers; `refuses` = messages that are not taken; `mute` = messages that are
    taken without an acknowledgement. A poll that finds nothing waits no longer than `longest_wait_s`.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        topics: Iterable[Topic] = (),
        partitions: int = 3,
        longest_wait_s: float = 1.0,
    ) -> None:
        self.now, self.partitions, self.longest_wait_s = now, partitions, longest_wait_s
        self.away = False
        self.refuses: Callable[[Message], bool] = lambda _: False
        self.mute: Callable[[Message], bool] = lambda _: False
        self.changed = threading.Condition(threading.RLock())
        self._stretches: dict[Partition, _Stretch] = {}
        self._max_bytes: dict[str, int] = {}
        self._groups: dict[str, _Group] = defaultdict(_Group)
        self.create(topics)

    def create(self, topics: Iterable[Topic]) -> None:
        """Create topics and partitions that do not exist yet, from their declaration; every group shares anew."""
        with self.changed:
            for topic in topics:
                self._max_bytes[topic.name] = topic.max_bytes
                for n in range(1 if topic.single_partition else self.partitions):
                    self._stretches.setdefault((topic.name, n), _Stretch())
            for group in self._groups.values():
                group.generation += 1

    def records(self, topic: str) -> list[Record]:
        """All that the topic holds, by partition and offset."""
        with self.changed:
            return [r for t, p in sorted(self._stretches) if t == topic for r in self._stretches[t, p].records]

    def trim(self, partition: Partition, start: int) -> None:
        """Forget what lies before this offset, as retention does."""
        stretch = self.stretch(partition)
        del stretch.records[: start - stretch.start]
        stretch.start = max(stretch.start, start)

    def recreate(self, topic: Topic) -> None:
        """Delete the topic with all that it holds and create it anew."""
        with self.changed:
            for n in range(self.count(topic.name)):
                self._stretches[topic.name, n] = _Stretch()

    def committed(self, group: str) -> dict[Partition, int]:
        """The group's offsets; may be changed, as an operator resets them."""
        return self._groups[group].committed

    def expel(self, group: str, member: str) -> None:
        """The member's session is over; it learns of that with its next poll, if it is still alive."""
        with self.changed:
            if self._groups[group].members.pop(member, None):
                self._groups[group].generation += 1
                self.changed.notify_all()

    def join(self, group: str, member: str, topics: tuple[str, ...]) -> None:
        """The member takes part from now on."""
        with self.changed:
            self._groups[group].members[member] = topics
            self._groups[group].generation += 1
            self.changed.notify_all()

    def membership(self, group: str, member: str) -> tuple[int, dict[Partition, int]] | None:
        """The group's generation, and this member's partitions with their committed offsets; None for no member."""
        state = self._groups[group]
        if member not in state.members:
            return None
        mine = (p for topic in state.members[member] for p in self._share(state, member, topic))
        return state.generation, {p: state.committed.get(p, self._stretches[p].start) for p in mine}

    def append(self, message: Message) -> bool:
        """Write one message; whether the writer learns that it was written."""
        with self.changed:
            size = len(message.key or b"") + len(message.value or b"")
            if self.away or self.refuses(message) or size > self._max_bytes.get(message.topic, 0):
                return False
            place = (message.topic, crc32(message.key or b"") % self.count(message.topic))
            stretch, timestamp = self._stretches[place], int(self.now().timestamp() * 1000)
            stretch.records.append(
                Record(*place, stretch.end, timestamp, message.key, message.value, tuple(message.headers))
            )
            self.changed.notify_all()
            return not self.mute(message)

    def stretch(self, partition: Partition) -> _Stretch:
        """What the partition holds. Raises `Unavailable` when there is no such partition, or no answer."""
        if self.away or partition not in self._stretches:
            raise Unavailable(f"no answer about {partition}")
        return self._stretches[partition]

    def count(self, topic: str) -> int:
        """Partitions of a topic; 0 when there is no such topic."""
        return sum(t == topic for t, _ in self._stretches)

    def _share(self, state: _Group, member: str, topic: str) -> Iterator[Partition]:
        """Range assignment: neighbouring partitions, the first members get one more where they do not divide."""
        names = sorted(name for name, topics in state.members.items() if topic in topics)
        each, more = divmod(self.count(topic), len(names))
        n = names.index(member)
        first = n * each + min(n, more)
        return ((topic, p) for p in range(first, first + each + (n < more)))


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
