"""What a service hands to the engine: its inputs, its handler in three steps, its clocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from schemas.topics import Topic
from services.runtime.postgres import Cursor
from services.runtime.verdict import Context, Incoming, Outgoing, Verdict

LONGER_DAYS = 30
"""How much longer than its topic an event is remembered."""


@dataclass(frozen=True, slots=True)
class Published:
    """The present state of one key of a compacted topic, as it must stand there. `value` None is a tombstone."""

    key: str
    version: int
    id: str
    type: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Clock:
    """Work caused by time that is one piece and needs nobody outside: it is done, or fails, as a whole.

    `fire` returns the events; the engine writes them to the outbox in the same transaction. It must not fire a row
    whose due time lies after `context.applied_until`.
    """

    name: str
    every: timedelta
    fire: Callable[[Cursor, Context], Sequence[Outgoing]]


@dataclass(frozen=True, slots=True)
class DueRows:
    """Work caused by time, row by row, that needs nobody outside: one transaction claims, locks, decides, applies.

    `claim` locks due rows (`FOR UPDATE SKIP LOCKED`), none due after `context.applied_until`, and gives them as they
    are; `fire` reads, decides and applies those that it gets, and returns their events for the outbox. When it fails
    for many the engine fires them one by one; `put_off` moves the due time of a row that fails alone, so that it
    cannot keep the others waiting. `fire` must move the due time of every row that it gets: what stays due is claimed
    again at once.
    """

    name: str
    every: timedelta
    claim: Callable[[Cursor, Context], Sequence[Any]]
    fire: Callable[[Cursor, Sequence[Any], Context], Sequence[Outgoing]]
    put_off: Callable[[Cursor, Any, datetime], None]


@dataclass(frozen=True, slots=True)
class Call:
    """Work caused by time that calls somebody outside: claim with a lease, call without a transaction, record.

    `claim` locks due rows; `take`, in the same transaction, makes claims of them. When it fails for many the engine
    takes them one by one, for some seconds; what `take` did not get stays due. That commits before `call` runs;
    `record` gets what `call` returned and returns events for the outbox. A claim whose worker died is claimed again
    when its lease is over. `record` may run twice for one answer, and must change nothing when the claim is not its
    own any more.
    `put_off` gets a row that could not be taken, or a claim whose call or record failed by a defect: it must move its
    time, not for ever, and read nothing that may be what was wrong. When that fails, too, the row stays due: `claim`
    must not give it again at once, or it keeps the others waiting. Its events go to the outbox.
    """

    name: str
    every: timedelta
    claim: Callable[[Cursor, Context], Sequence[Any]]
    call: Callable[[Any, Context], Any]
    record: Callable[[Cursor, Any, Any, Context], Sequence[Outgoing]]
    take: Callable[[Cursor, Sequence[Any], Context], Sequence[Any]] = lambda _cursor, rows, _context: rows
    put_off: Callable[[Cursor, Any, Context], Sequence[Outgoing]] = lambda _cursor, _row, _context: ()


@dataclass(frozen=True, slots=True)
class Service:
    """A Kafka-driven service.

    gather: read and lock in a few set queries all that the events need (rows sorted by key, placeholders first).
    decide: pure; folds its decision into the world that the next event sees.
    apply:  write the world's changes in bulk.
    published: for each compacted topic that it writes, the present state of those keys whose version in the table is
        higher than the one given (key -> version).
    keep_data: the inbox keeps each event's data (analytics: the inbox is the fact table).
    makes_known: ids that an event makes known: those that wait for one of them are decided right after it was taken in.
    for_ever: topics whose ids the inbox never forgets.
    patient: nobody waits for this service's events: it lets records gather for up to a fifth of a second, which makes
        batches, and spares half of its work and of the broker's at a low load.
    of_strangers: topics that may tell of somebody who never becomes known; that is no fault, so no dead letter.
    """

    name: str
    inputs: tuple[Topic, ...]
    gather: Callable[[Cursor, Sequence[Incoming], Context], Any]
    decide: Callable[[Incoming, Any, Context], Verdict]
    apply: Callable[[Cursor, Any], None]
    published: Mapping[str, Callable[[Cursor, Mapping[str, int]], Sequence[Published]]] = field(default_factory=dict)
    clocks: tuple[Clock | DueRows | Call, ...] = ()
    books: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    makes_known: Callable[[Incoming], Sequence[str]] = lambda event: (event.key,)
    keep_data: bool = False
    for_ever: frozenset[str] = frozenset()
    of_strangers: frozenset[str] = frozenset()
    patient: bool = False

    @property
    def remembers_days(self) -> int:
        """How long after their day ids must be remembered that are not remembered for ever."""
        kept = [t.retention_days for t in self.inputs if not (t.compacted or t.foreign or t.name in self.for_ever)]
        assert None not in kept, "ids of a topic that is kept for ever belong to `for_ever`"  # noqa: S101
        return max((days for days in kept if days), default=0) + LONGER_DAYS

    @property
    def calls(self) -> bool:
        """Whether any clock waits for somebody outside."""
        return any(isinstance(clock, Call) for clock in self.clocks)
