"""One batch, one transaction: fence, inbox, gather, decide, apply, pending (DESIGN §4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg2
import structlog

from services.runtime import fence, frames, pending, waiting
from services.runtime.dead import dead_letter
from services.runtime.decode import Decoder, Entry
from services.runtime.faults import Faults
from services.runtime.fence import Epochs
from services.runtime.frames import Frame
from services.runtime.inbox import Inbox, State
from services.runtime.postgres import Cursor, Session, transaction
from services.runtime.service import Service
from services.runtime.transport import Partition
from services.runtime.verdict import Context, Dead, Drop, Emit, Verdict, Wait

log = structlog.get_logger()
Place = tuple[str, int, int]
OURS = frozenset(("handler_error", "data_refused", "schema", "unknown_type", "no_event_id", "structured", "empty"))
"""Reasons that, many in a row on our own topics, say that a service is broken; a sender's faults never do."""


class Poisoned(Exception):
    """Deciding this entry failed: it is named, and the batch is decided anew without it."""

    def __init__(self, place: Place, dead: Dead) -> None:
        super().__init__(dead.detail)
        self.place, self.dead = place, dead


class MetLate(Exception):
    """An event began to wait for a key of this batch after the batch had looked: gather anew."""


@dataclass(slots=True)
class Result:
    """What a batch came to: the frames to publish by input partition, and what became of its records."""

    frames: dict[Partition, list[Frame]] = field(default_factory=dict)
    states: dict[tuple[str, Any], State] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    dead_places: set[Place] = field(default_factory=set)
    waits: dict[str, list[Entry]] = field(default_factory=dict)
    woken: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Batches:
    """Runs batches of one service. `_any_kept` says whether events waited when a batch looked last."""

    service: Service
    decoder: Decoder
    inbox: Inbox
    faults: Faults
    _any_kept: bool = False

    def run(self, session: Session, epochs: Epochs, entries: Sequence[Entry], context: Context) -> Result:
        """Commit the batch and say what to publish.

        Raises `Fenced` where another owner was met, psycopg2 errors as they come; nothing of the batch stands then.
        """
        self.inbox.prepare(session, entries, context.now)
        poisoned: dict[Place, Dead] = {}
        while True:
            try:
                return self._attempt(session, epochs, entries, context, poisoned)
            except Poisoned as fault:
                poisoned[fault.place] = fault.dead
            except MetLate:
                continue

    def refuse(self, session: Session, epochs: Epochs, entry: Entry, context: Context, dead: Dead) -> Result:
        """Commit a single entry as a dead letter; nothing of its event is kept, so nothing can be refused again."""
        return self._attempt(session, epochs, [replace(entry, incoming=None, dead=dead)], context, {})

    def _attempt(
        self,
        session: Session,
        epochs: Epochs,
        entries: Sequence[Entry],
        context: Context,
        poisoned: Mapping[Place, Dead],
    ) -> Result:
        offsets = next_offsets(entries)
        with transaction(session) as cursor:
            fence.advance(cursor, epochs, offsets)
            fresh = self.inbox.remember(cursor, entries)
            result = Result()
            result.counts["duplicate"] = len(entries) - len(fresh)
            self._handle(cursor, fresh, context, poisoned, result)
            self.inbox.settle(cursor, result.states)
            waiting.keep(cursor, result.waits, context.now)
            waiting.forget(cursor, result.woken)
            pending.replace(cursor, offsets, result.frames)
        return result

    def _handle(
        self, cursor: Cursor, fresh: Sequence[Entry], context: Context, poisoned: Mapping[Place, Dead], result: Result
    ) -> None:
        live = []
        for entry in fresh:
            dead = entry.dead or poisoned.get(entry.place)
            if dead:
                self._bury(entry, dead, context, result, entry)
            elif entry.record.value is None:  # a tombstone
                result.counts["taken"] += 1
            else:
                live.append(entry)
        if not live:
            return
        sleeping = self._sleeping(cursor, live) if self._any_kept else {}
        events = [e.incoming for group in ([live], sleeping.values()) for es in group for e in es if e.incoming]
        world = self.service.gather(cursor, events, context)
        if _places(self._sleeping(cursor, live, lock=True)) != _places(sleeping):
            raise MetLate
        self.faults.passed("in_transaction")
        self._decide_all(live, sleeping, world, context, poisoned, result)
        self.service.apply(cursor, world)

    def _sleeping(self, cursor: Cursor, live: Sequence[Entry], *, lock: bool = False) -> dict[str, list[Entry]]:
        """Events that wait for an id which one of these entries makes known, by that id."""
        self._any_kept = waiting.any_kept(cursor)
        if not self._any_kept:
            return {}
        names = [name for e in live if e.incoming for name in self.service.makes_known(e.incoming)]
        return waiting.load(cursor, self.decoder, names, lock=lock)

    def _decide_all(
        self, live: Sequence[Entry], sleeping: dict[str, list[Entry]], world: Any, context: Context,
        poisoned: Mapping[Place, Dead], result: Result,
    ) -> None:  # fmt: skip
        kept = {entry.place for entries in sleeping.values() for entry in entries}
        for entry in live:
            verdict = self._decide(entry, world, context)
            if isinstance(verdict, Wait):
                sleeping.setdefault(verdict.key, []).append(entry)
                continue
            self._note(entry, verdict, context, result, home=entry)
            if sleeping and isinstance(verdict, Emit) and entry.incoming:
                for name in self.service.makes_known(entry.incoming):
                    sleepers = sleeping.pop(name, [])
                    sleeping[name] = self._wake(entry, sleepers, world, context, poisoned, result)
        for key, entries in sleeping.items():
            self._keep_waiting(key, [entry for entry in entries if entry.place not in kept], result)
        result.woken = [entry for entry in result.woken if entry.place in kept]

    def _wake(
        self, waker: Entry, sleepers: Sequence[Entry], world: Any, context: Context,
        poisoned: Mapping[Place, Dead], result: Result,
    ) -> list[Entry]:  # fmt: skip
        """Decide the events that waited for the key just taken in; those that go on waiting."""
        still = []
        for entry in sleepers:
            verdict = poisoned.get(entry.place) or self._decide(entry, world, context)
            if isinstance(verdict, Wait):
                still.append(entry)
                continue
            self._note(entry, verdict, context, result, home=waker)
            result.states.setdefault((entry.inbox_id, entry.day), ("done", None))
            result.woken.append(entry)
        return still

    @staticmethod
    def _keep_waiting(key: str, entries: Sequence[Entry], result: Result) -> None:
        for entry in entries:
            result.waits.setdefault(key, []).append(entry)
            result.states[entry.inbox_id, entry.day] = ("waiting", key[:200])
            result.counts["waiting"] += 1

    def _decide(self, entry: Entry, world: Any, context: Context) -> Verdict:
        assert entry.incoming is not None  # noqa: S101 - unreadable entries were buried before
        try:
            return self.service.decide(entry.incoming, world, context)
        except Exception as error:
            log.exception("handler.failed", topic=entry.record.topic, event_type=entry.incoming.type)
            detail = f"{type(error).__name__} while deciding {entry.incoming.type}"
            raise Poisoned(entry.place, Dead("handler_error", detail)) from error

    def _note(self, entry: Entry, verdict: Emit | Drop | Dead, context: Context, result: Result, home: Entry) -> None:
        key = (entry.inbox_id, entry.day)
        if isinstance(verdict, Dead):
            self._bury(entry, verdict, context, result, home)
            return
        if isinstance(verdict, Drop):
            result.states[key] = ("dropped", verdict.reason)
            result.dropped[verdict.reason] += 1
        result.counts["dropped" if isinstance(verdict, Drop) else "emitted" if verdict.events else "taken"] += 1
        if verdict.events:
            trace = entry.incoming.traceparent if entry.incoming else None
            result.frames.setdefault(_partition(home), []).extend(frames.frame(e, trace) for e in verdict.events)

    def _bury(self, entry: Entry, dead: Dead, context: Context, result: Result, home: Entry) -> None:
        letter = dead_letter(self.service.name, entry, dead, context.now)
        result.frames.setdefault(_partition(home), []).append(letter)
        result.states[entry.inbox_id, entry.day] = ("dead", dead.reason)
        result.counts["dead"] += 1
        result.dead[dead.reason] += 1
        if dead.reason in OURS:
            result.dead_places.add(entry.place)


def _places(sleeping: Mapping[str, Sequence[Entry]]) -> set[Place]:
    return {entry.place for entries in sleeping.values() for entry in entries}


def _partition(entry: Entry) -> Partition:
    return (entry.record.topic, entry.record.partition)


def next_offsets(entries: Sequence[Entry]) -> dict[Partition, int]:
    """The offset that comes after these entries, by partition."""
    return {_partition(e): e.record.offset + 1 for e in entries}


def is_bad_data(error: BaseException) -> bool:
    """Whether the database refused data (SQLSTATE class 22, 54, 23502, 23514) or could not be given it."""
    if isinstance(error, psycopg2.Error):
        code = error.pgcode or ""
        return code.startswith(("22", "54")) or code in ("23502", "23514") or isinstance(error, psycopg2.DataError)
    return isinstance(error, ValueError | TypeError | KeyError | OverflowError)
