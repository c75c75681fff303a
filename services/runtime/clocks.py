"""Work caused by time (DESIGN §4.7): due rows in PostgreSQL, claimed by whoever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg2
import structlog

from services.runtime import fence, metrics, outbox, waiting
from services.runtime.dead import dead_letter
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import Books
from services.runtime.frames import Frame
from services.runtime.inbox import Inbox
from services.runtime.postgres import Cursor, Session, transaction
from services.runtime.service import Call, Clock, Service
from services.runtime.verdict import Context, Dead

log = structlog.get_logger()
PATIENCE_CLOCK = timedelta(seconds=30)


@dataclass(slots=True)
class Clocks:
    """Runs the clocks of one service in a thread of its own, with a session of its own."""

    service: Service
    decoder: Decoder
    books: Books
    counts: Callable[[], Mapping[str, int]]
    session: Callable[[], Session]
    now: Callable[[], datetime]
    faults: Faults
    _stop: threading.Event = field(default_factory=threading.Event)
    _next: dict[str, float] = field(default_factory=dict)

    def stop(self) -> None:
        """Finish the turn at hand, then leave."""
        self._stop.set()

    def run(self) -> None:
        """Turn until stopped; whatever fails is logged and tried again."""
        session: Session | None = None
        while not self._stop.wait(0.05):
            try:
                if session is None or session.closed:
                    session = self.session()
                self.turn(session)
            except psycopg2.Error as error:
                log.warning("clock.failed", error=type(error).__name__, sqlstate=error.pgcode)
                _close(session)
                session = None
                self._stop.wait(0.5)
        _close(session)

    def turn(self, session: Session) -> None:
        """Run every clock whose time has come."""
        if not self.books.complete or not self.counts():
            return
        for clock in self.service.clocks:
            if self._due(clock.name, clock.every):
                self._run_one(session, clock)
        if self._due("waiting", PATIENCE_CLOCK):
            self._end_patience(session)

    def _due(self, name: str, every: timedelta) -> bool:
        now = time.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + every.total_seconds()
        return True

    def _run_one(self, session: Session, clock: Clock | Call) -> None:
        try:
            fired = self._fire(session, clock) if isinstance(clock, Clock) else self._call(session, clock)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception:
            log.exception("clock.defect", clock=clock.name)
            metrics.CLOCK_FAILURES.labels(self.service.name, clock.name).inc()
            return
        if fired:
            metrics.CLOCK_FIRED.labels(self.service.name, clock.name).inc(fired)
            self._next[clock.name] = 0.0  # there may be more

    def _fire(self, session: Session, clock: Clock) -> int:
        with transaction(session) as cursor:
            events = clock.fire(cursor, self.context(cursor))
            outbox.write(cursor, events)
        return len(events)

    def _call(self, session: Session, clock: Call) -> int:
        with transaction(session) as cursor:
            context = self.context(cursor)
            claims = clock.claim(cursor, context)
        if claims:
            self.faults.passed("after_claim")
        for claim in claims:
            if self._stop.is_set():
                break  # what is not begun is somebody else's when its lease is over
            answer = clock.call(claim, context)
            self.faults.passed("after_call")
            with transaction(session) as cursor:
                outbox.write(cursor, clock.record(cursor, claim, answer, self.context(cursor)))
        return len(claims)

    def context(self, cursor: Cursor) -> Context:
        """What a clock may know now."""
        until = fence.applied_until(cursor, self.counts())
        return Context(self.now(), dict(self.books.active), until)

    def _end_patience(self, session: Session) -> None:
        """Events that waited too long for their id become dead letters."""
        with transaction(session) as cursor:
            context = self.context(cursor)
            if context.applied_until is None:
                return
            late = waiting.overdue(cursor, self.decoder, min(context.now, context.applied_until))
            dead = Dead("unknown_id", "the id that this event is about did not become known within 24 h")
            letters: list[Frame] = [dead_letter(self.service.name, entry, dead, context.now) for entry in late]
            outbox.write_frames(cursor, letters)
            states = {(entry.inbox_id, entry.day): ("dead", dead.reason) for entry in late}
            Inbox(keep_data=False).settle(cursor, states)
            waiting.forget(cursor, late)


def _close(session: Session | None) -> None:
    if session is not None and not session.closed:
        session.close()
