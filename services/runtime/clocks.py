"""Work caused by time (DESIGN §4.7): due rows in PostgreSQL, claimed by whoever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import structlog
from prometheus_client import Counter

from services.runtime import fence, metrics, outbox
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import Books
from services.runtime.patience import patience
from services.runtime.postgres import TOO_SLOW, Cursor, Session, transaction
from services.runtime.service import Call, Clock, DueRows, Service
from services.runtime.verdict import Context

log = structlog.get_logger()
TRANSIENT = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError)  # the last: read-only
PUT_OFF = timedelta(minutes=10)
ALONE = ("clock.put_off", metrics.CLOCK_PUT_OFF)
RECORD_PAUSES_S = (0.1, 0.4, 1.0, 2.0, 4.0)
RECORD_WITHIN_S = 8.0
"""How long a call's answer may wait for the database before it is lost: shorter than the way to a shutdown."""
ALONE_WITHIN_S = 3.0
"""How long rows are taken one by one in a transaction that locks them all; what is left stays due."""


@dataclass(slots=True)
class Clocks:
    """Runs the clocks of one service in a thread of its own, with a session of its own. `alive_at`: last sign of it."""

    service: Service
    decoder: Decoder
    books: Books
    counts: Callable[[], Mapping[str, int]]
    session: Callable[[], Session]
    now: Callable[[], datetime]
    faults: Faults
    alive_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _next: dict[str, float] = field(default_factory=dict)
    _session: Session | None = None

    def stop(self) -> None:
        """Finish the turn at hand, then leave."""
        self._stop.set()

    def run(self) -> None:
        """Turn until stopped; whatever fails is logged and tried again."""
        while not self._stop.wait(0.05):
            self.alive_at = time.monotonic()
            self.turn()
        self.hang_up()

    def turn(self) -> None:
        """Run every clock whose time has come; one that fails does not hold up the others."""
        if not self.books.complete or not self.counts():
            return
        for clock in (*self.service.clocks, patience(self.service, self.decoder)):
            if self._due(clock.name, clock.every):
                self._run_one(clock)

    def hang_up(self) -> None:
        """Close the session; the next turn opens another."""
        if self._session is not None and not self._session.closed:
            self._session.close()
        self._session = None

    def context(self, cursor: Cursor) -> Context:
        """What a clock may know now."""
        until = fence.applied_until(cursor, self.counts())
        return Context(self.now(), dict(self.books.active), until)

    def _due(self, name: str, every: timedelta) -> bool:
        now = time.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + every.total_seconds()
        return True

    def _run_one(self, clock: Clock | DueRows | Call) -> None:
        fired = 0
        try:
            with self._surviving("clock.defect", metrics.CLOCK_FAILURES, clock.name):
                fired = self._fire(clock)
        except TRANSIENT as error:
            log.warning("clock.failed", clock=clock.name, error=type(error).__name__, sqlstate=error.pgcode)
            self.hang_up()
            self._stop.wait(0.5)
        if fired:
            metrics.CLOCK_FIRED.labels(self.service.name, clock.name).inc(fired)
            self._next[clock.name] = 0.0  # there may be more

    @contextmanager
    def _surviving(self, event: str, counter: Counter, clock: str, *, slow_too: bool = True) -> Iterator[None]:
        """Log and count a defect and go on; a database that is away is none, work that takes too long may be one."""
        try:
            yield
        except Exception as error:
            if _is_transient(error) or (isinstance(error, TRANSIENT) and not slow_too):
                raise
            log.exception(event, clock=clock)
            counter.labels(self.service.name, clock).inc()

    def _fire(self, clock: Clock | DueRows | Call) -> int:
        if isinstance(clock, Call):
            return self._call(clock)
        with self._transaction() as cursor:
            if isinstance(clock, DueRows):
                return self._fire_rows(cursor, clock)
            events = clock.fire(cursor, self.context(cursor))
            outbox.write(cursor, events)
        return len(events)

    def _fire_rows(self, cursor: Cursor, clock: DueRows) -> int:
        """Fire all due rows at once or, when that fails, one by one; how many were worked off."""
        context = self.context(cursor)
        rows = clock.claim(cursor, context)
        if not rows or self._decided(cursor, clock, rows, context, "clock.defect", metrics.CLOCK_FAILURES):
            return len(rows)
        failed = [r for r in rows if not self._decided(cursor, clock, (r,), context, *ALONE)]
        for row in failed:
            clock.put_off(cursor, row, context.now + PUT_OFF)
        return len(rows) - len(failed)

    def _decided(
        self, cursor: Cursor, clock: DueRows, rows: Sequence[Any], context: Context, event: str, counter: Counter
    ) -> bool:
        """Whether these rows were fired; nothing of it stands if not."""
        with self._surviving(event, counter, clock.name), _savepoint(cursor):
            outbox.write(cursor, clock.fire(cursor, rows, context))
            return True
        return False

    def _call(self, clock: Call) -> int:
        with self._transaction() as cursor:
            context = self.context(cursor)
            claims = self._taken(cursor, clock, clock.claim(cursor, context), context)
        if claims:
            self.faults.passed("after_claim")
        for claim in claims:
            if self._stop.is_set():
                break  # what is not begun is somebody else's when its lease is over
            self.alive_at = time.monotonic()
            self._call_one(clock, claim, context)
        return len(claims)

    def _taken(self, cursor: Cursor, clock: Call, rows: Sequence[Any], context: Context) -> Sequence[Any]:
        """Claims of all rows at once or, when that fails, of each row by itself as far as time allows."""
        if not rows:
            return ()
        with self._surviving("clock.defect", metrics.CLOCK_FAILURES, clock.name), _savepoint(cursor):
            return clock.take(cursor, rows, context)
        claims: list[Any] = []
        until = time.monotonic() + ALONE_WITHIN_S
        for row in rows:
            claims += self._taken_alone(cursor, clock, row, context)
            if time.monotonic() >= until:
                break
        return claims

    def _taken_alone(self, cursor: Cursor, clock: Call, row: Any, context: Context) -> Sequence[Any]:
        self.alive_at = time.monotonic()
        with self._surviving(*ALONE, clock.name), _savepoint(cursor):
            return clock.take(cursor, (row,), context)
        self._put_off(cursor, clock, row, context)
        return ()

    def _put_off(self, cursor: Cursor, clock: Call, row: Any, context: Context) -> None:
        """A row that cannot even be put off stays as it is: the others go on."""
        with self._surviving("clock.not_put_off", metrics.CLOCK_FAILURES, clock.name), _savepoint(cursor):
            outbox.write(cursor, clock.put_off(cursor, row, context))

    def _call_one(self, clock: Call, claim: Any, context: Context) -> None:
        """One that fails is put off; the others go on. A database too slow for an answer is no fault of its claim."""
        with self._surviving(*ALONE, clock.name, slow_too=False):
            answer = clock.call(claim, context)
            self.faults.passed("after_call")
            self._record(clock, claim, answer)
            return
        with self._transaction() as cursor:
            self._put_off(cursor, clock, claim, self.context(cursor))

    def _record(self, clock: Call, claim: Any, answer: Any) -> None:
        """What was answered is known to nobody else: try again with fresh sessions before it is given up."""
        deadline = time.monotonic() + RECORD_WITHIN_S
        for pause in (*RECORD_PAUSES_S, None):
            try:
                with self._transaction() as cursor:
                    outbox.write(cursor, clock.record(cursor, claim, answer, self.context(cursor)))
                return
            except TRANSIENT as error:
                self.hang_up()
                if pause is None or time.monotonic() + pause > deadline:
                    raise
                log.warning("answer.not_recorded", clock=clock.name, error=type(error).__name__, sqlstate=error.pgcode)
                time.sleep(pause)

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        if self._session is None or self._session.closed:
            self._session = self.session()
        with transaction(self._session) as cursor:
            yield cursor


def _is_transient(error: Exception) -> bool:
    """A dependency that is away or busy, and no fault of what was to be done."""
    return isinstance(error, TRANSIENT) and error.pgcode != TOO_SLOW


@contextmanager
def _savepoint(cursor: Cursor) -> Iterator[None]:
    """Undo what an error leaves half done, and keep the locks taken before."""
    cursor.execute("SAVEPOINT decided")
    try:
        yield
    except Exception as error:
        if not _is_transient(error):
            cursor.execute("ROLLBACK TO SAVEPOINT decided")
        raise
    cursor.execute("RELEASE SAVEPOINT decided")
