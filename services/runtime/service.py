"""What a service hands to the engine: its inputs, its handler in three steps, its clocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from schemas.topics import Topic
from services.runtime.postgres import Cursor
from services.runtime.verdict import Context, Incoming, Outgoing, Verdict


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
    """Work caused by time that needs nobody outside: one transaction claims due rows, locks, decides, applies.

    `fire` returns the events; the engine writes them to the outbox in the same transaction. It must not fire a row
    whose due time lies after `context.applied_until`.
    """

    name: str
    every: timedelta
    fire: Callable[[Cursor, Context], Sequence[Outgoing]]


@dataclass(frozen=True, slots=True)
class Call:
    """Work caused by time that calls somebody outside: claim with a lease, call without a transaction, record.

    `claim` commits before `call` runs; `record` gets what `call` returned and returns events for the outbox.
    A claim whose worker died is claimed again when its lease is over.
    """

    name: str
    every: timedelta
    claim: Callable[[Cursor, Context], Sequence[Any]]
    call: Callable[[Any, Context], Any]
    record: Callable[[Cursor, Any, Any, Context], Sequence[Outgoing]]


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
    """

    name: str
    inputs: tuple[Topic, ...]
    gather: Callable[[Cursor, Sequence[Incoming], Context], Any]
    decide: Callable[[Incoming, Any, Context], Verdict]
    apply: Callable[[Cursor, Any], None]
    published: Mapping[str, Callable[[Cursor, Mapping[str, int]], Sequence[Published]]] = field(default_factory=dict)
    clocks: tuple[Clock | Call, ...] = ()
    books: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    makes_known: Callable[[Incoming], Sequence[str]] = lambda event: (event.key,)
    keep_data: bool = False
    for_ever: frozenset[str] = frozenset()
