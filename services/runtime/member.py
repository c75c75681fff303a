"""A worker as a member of its consumer group: what it polled last, and which partitions it holds (DESIGN §4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from services.runtime import gaps
from services.runtime.holding import Holding
from services.runtime.transport import Consumer, Partition, Record


@dataclass(slots=True)
class Member:
    """One membership, from joining to leaving.

    `held`: partitions whose fences are ours. `fenced`: those that another worker took, though the group's last word,
    if it has spoken since, is that they are ours.
    """

    consumer: Consumer
    held: Holding = field(default_factory=dict)
    fenced: frozenset[Partition] = frozenset()
    left: bool = False
    _assigned: frozenset[Partition] = frozenset()
    _polled: dict[Partition, int] = field(default_factory=dict)

    @property
    def unheld(self) -> frozenset[Partition]:
        """Partitions that the group gives to us and whose fences are still to be taken."""
        return self._assigned - self.held.keys()

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """What comes next on all partitions; those that the group has taken from us are held no more."""
        self._polled.clear()
        records = self.consumer.poll(timeout_s, max_records)
        self._polled = {(r.topic, r.partition): r.offset for r in reversed(records)}
        self._assigned = self.consumer.assignment()
        self.fenced &= self._assigned
        for partition in self.held.keys() - self._assigned:
            del self.held[partition]
        return records

    def hold(self, taken: Holding) -> None:
        """Hold these too. Go back where the group's offset is ahead: what lies between was never applied."""
        self.held |= taken
        for p, held in taken.items():
            if held.comes_next is not None and self._polled.get(p, self.consumer.position(p)) > held.comes_next:
                self.consumer.seek(p, held.comes_next)
                self._polled.pop(p, None)

    def refuse_jumps(self) -> None:
        """A client goes on by itself where the log has lost what comes next; we do not. Raises `LogGap`.

        Holes in a compacted topic and a rebalance look alike at first: the log's bounds tell.
        """
        known = {p: held.comes_next for p, held in self.held.items() if held.comes_next is not None}
        jumped = {p: offset for p, offset in known.items() if self._polled.get(p, offset) != offset}
        gaps.refuse(self.consumer, jumped)  # also confirmed ones: they are passed where a partition is taken

    def ours(self, records: Iterable[Record]) -> list[Record]:
        """Those of what was polled that belong to us and were not read in vain."""
        ours = self.held.keys() & self._polled.keys()
        return [r for r in records if (r.topic, r.partition) in ours]

    def move_on(self, next_offsets: Mapping[Partition, int], published: Set[Partition]) -> None:
        """These offsets are applied. `published`: where `pending` holds text of it."""
        for p, offset in next_offsets.items():
            held = self.held[p]
            held.applied, held.comes_next = max(held.applied, offset), offset
            held.unpublished_text = p in published

    def drop(self, fenced: frozenset[Partition]) -> None:
        """Somebody else writes for these partitions: hold nothing of what was polled; the next poll tells more."""
        self.fenced = fenced
        for partition in fenced | self._polled.keys():
            self.held.pop(partition, None)
        self._seek_back()

    def drop_all(self) -> None:
        """Hold nothing any more, and read again what was polled."""
        self.held.clear()
        self._seek_back()

    def leave(self) -> None:
        """Hold nothing any more; whoever joins next reads on from what is committed."""
        self.held.clear()
        self._polled.clear()
        self.left = True
        self.consumer.close()

    def _seek_back(self) -> None:
        for partition, offset in self._polled.items():
            self.consumer.seek(partition, offset)
        self._polled.clear()
