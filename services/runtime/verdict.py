"""What a handler sees and says: one event in, one verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from schemas.events.event import Event, derived_id
from schemas.topics import Topic


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Incoming:
    """One event as a handler sees it. `data` is the topic's model; on topics without models it is None: use `body`."""

    id: str
    type: str
    source: str
    key: str
    data: Any
    topic: str
    partition: int
    offset: int
    timestamp: datetime
    inbox_id: str
    day: date
    body: bytes
    traceparent: str | None = None
    repair: int = 0


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Outgoing:
    """One event to publish. `value` is the data as it will lie on the log (None: a tombstone)."""

    topic: Topic
    type: str
    key: str
    id: str
    version: int
    value: str | None
    data: Event | None


def outgoing(topic: Topic, event_type: str, key: str, data: Event, n: int = 0) -> Outgoing:
    """The event, encoded, with the id that follows from its cause: the same cause always gives the same id.

    `n` tells apart several events of one type with one cause.
    """
    event_id = derived_id(data.cause_id, event_type, n)
    return Outgoing(topic, event_type, key, event_id, data.version, data.model_dump_json(exclude_none=True), data)


@dataclass(frozen=True, slots=True)
class Emit:
    """Done; these events follow (none is fine: the event was taken in)."""

    events: tuple[Outgoing, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """A business no, with a reason from a small fixed set; `events` may hold an alert about it."""

    reason: str
    events: tuple[Outgoing, ...] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """Impossible: to the dead letters, with a reason from a small fixed set and a sentence for a person."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Wait:
    """About an id that is not known yet: kept, and decided again right after an event of that key was taken in."""

    key: str


Verdict = Emit | Drop | Dead | Wait


@dataclass(frozen=True, slots=True)
class Book:
    """A rule book in force: its version, and its rules as the service's frozen model."""

    version: str
    rules: Any


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may know beside its state: the moment, the rules, and how far all inputs are applied.

    `applied_until` is None while any input partition has never been caught up with; it matters to clocks only.
    """

    now: datetime
    books: Mapping[str, Book] = field(default_factory=dict)
    applied_until: datetime | None = None
