"""Telling the group how far a worker is (DESIGN §4.8)."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, field

from services.runtime.member import Member
from services.runtime.transport import Partition

COMMIT_EVERY_S, COMMIT_AFTER = 0.2, 50


@dataclass(slots=True)
class Commits:
    """Commits offsets at most so often, or each 50 records: what is read again the inbox knows."""

    _partitions: set[Partition] = field(default_factory=set)
    _records: int = 0
    _at: float = 0.0

    def note(self, partitions: Set[Partition], records: int) -> None:
        """So many records of these partitions are applied."""
        self._partitions |= partitions
        self._records += records

    def commit_if_due(self, member: Member) -> None:
        """Commit what has been applied meanwhile, unless that was little and the last commit is not long ago."""
        if self._records >= COMMIT_AFTER or time.monotonic() - self._at >= COMMIT_EVERY_S:
            self.commit(member)

    def commit(self, member: Member) -> None:
        """Commit what has been applied since the last time, of partitions that are still held."""
        if self._partitions:
            self._records = 0
            member.consumer.commit({p: member.held[p].applied for p in self._partitions & member.held.keys()})
            self._partitions.clear()
            self._at = time.monotonic()
