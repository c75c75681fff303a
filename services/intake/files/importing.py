"""The import itself: rows from the file to the log, in portions, each noted when the broker has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.intake.arrival import Accepted, Refused
from services.intake.files.faults import BadRow
from services.intake.files.items import Item
from services.intake.files.jobs import Counts
from services.intake.files.seen import Seen
from services.intake.files.submissions import Terms, digest, submission
from services.intake.files.tally import tally, unreachable
from services.intake.receive import message
from services.runtime.transport import Message

_NOTE_EVERY = 5000  # rows that need no sending: then what was met is written out and progress told


class BadRows(Protocol):
    """Where what cannot be taken is noted."""

    def note(self, number: int, cells: Sequence[str], code: str, message: str) -> None:
        """One bad row."""

    def flush(self) -> None:
        """Let a reader see what there is."""


class Outlet(Protocol):
    """The way to the log, never far ahead of whoever reads there."""

    def room(self) -> int:
        """How many rows may go now; waits until there is room, 0 where the import is to stop."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has acknowledged all; raises `Unavailable`."""


@dataclass(slots=True)
class Portion:
    """Rows on their way: what to note of each when the broker has it."""

    rows: list[tuple[bytes, int]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Import:
    """One run over a file. `told` hears of progress, `acknowledged` the ids of each portion that is on the log."""

    terms: Terms
    seen: Seen
    rejects: BadRows
    outlet: Outlet
    now: Callable[[], datetime]
    told: Callable[[Counts], None]
    acknowledged: Callable[[Sequence[str]], None]
    stopped: Callable[[], bool]
    counts: Counts = field(default_factory=Counts)

    def run(self, items: Iterable[Item | BadRow]) -> bool:
        """Send what is not on the log yet; False where it was told to stop before the end. Raises `Unavailable`."""
        portion, room = Portion(), 0
        for item in items:
            self.counts.read += 1
            if found := self._new(item):
                room = room or self.outlet.room()
                if not room:
                    return False
                self._add(portion, *found)
                if len(portion.rows) >= room:
                    self._send(portion)
                    portion, room = Portion(), 0
            elif self.counts.read % _NOTE_EVERY == 0:
                self.seen.keep()
                self.told(self.counts)
                if self.stopped():
                    self._send(portion)
                    return False
        self._send(portion)
        return True

    def _new(self, item: Item | BadRow) -> tuple[bytes, int, Accepted] | None:
        """What an item makes, unless it is on the log already or cannot be taken."""
        if isinstance(item, BadRow):
            self._reject(item.number, item.cells, item.code, item.message)
            return None
        content = digest(item)
        nth, sent = self.seen.meet(content)
        if nth <= sent:
            self.counts.known += 1
            return None
        result = submission(item, nth, self.terms, self.now())
        if isinstance(result, Refused):
            first = result.faults[0]
            self.counts.unreachable += unreachable(result)
            self._reject(item.number, item.cells, first.code, "; ".join(fault.message for fault in result.faults))
            return None
        return content, nth, result

    def _add(self, portion: Portion, content: bytes, nth: int, accepted: Accepted) -> None:
        tally(self.counts, accepted)
        portion.rows.append((content, nth))
        portion.ids.append(accepted.id)
        portion.messages.extend(map(message, accepted.events))

    def _send(self, portion: Portion) -> None:
        if portion.messages:
            self.outlet.publish(portion.messages)
            self.acknowledged(portion.ids)
        self.seen.keep(portion.rows)
        self.rejects.flush()
        self.counts.sent += len(portion.rows)
        self.told(self.counts)

    def _reject(self, number: int, cells: Sequence[str], code: str, message: str) -> None:
        self.counts.rejected += 1
        self.counts.reasons[code] = self.counts.reasons.get(code, 0) + 1
        self.rejects.note(number, cells, code, message)
