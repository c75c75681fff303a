"""The log in memory: the transport protocol with Kafka's rules, for fast tests of the engine and of whole pipelines.

One process, nothing durable, safe for several threads. Harsher than Kafka in one point: a new member gets its
partitions at once, while their former owner learns of it only with its next poll.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from schemas.topics import Topic
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Partition, Record


@dataclass(slots=True)
class Stretch:
    """What one partition holds: its records from offset `start` on."""

    start: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Offset that the next record will get."""
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
        self._stretches: dict[Partition, Stretch] = {}
        self._max_bytes: dict[str, int] = {}
        self._groups: dict[str, _Group] = defaultdict(_Group)
        self.create(topics)

    def create(self, topics: Iterable[Topic]) -> None:
        """Create topics and partitions that do not exist yet, from their declaration; every group shares anew."""
        with self.changed:
            for topic in topics:
                self._max_bytes[topic.name] = topic.max_bytes
                for n in range(1 if topic.single_partition else self.partitions):
                    self._stretches.setdefault((topic.name, n), Stretch())
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
                self._stretches[topic.name, n] = Stretch()

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

    def stretch(self, partition: Partition) -> Stretch:
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
