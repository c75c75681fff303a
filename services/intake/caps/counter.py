"""The way to the counts for HTTP: one session of its own thread, opened when the first source with caps sends.

Sources without caps need no database, so nothing here may hold up a start: the tables are made with that first
session, under the lock that the workers' migrations take, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import psycopg2
import structlog

from services.intake.caps.store import take_places
from services.intake.caps.windows import Window
from services.intake.sources.source import Source
from services.runtime.errors import Unavailable
from services.runtime.postgres import Session, connect, migrate, transaction

log = structlog.get_logger()
_WITHIN_S = 4.0  # common senders give up after 5 s
_MOST_WAITING = 200
_AGAIN_AFTER_S = 1.0


Counter = Callable[[Source, Sequence[str], datetime], Awaitable[Mapping[str, Window]]]
"""Counts submissions against their source's caps: of each that finds no place the window that is full."""


async def no_counter(source: Source, _ids: Sequence[str], _now: datetime) -> Mapping[str, Window]:
    """Where there is no database no source with caps may send."""
    raise Unavailable(f"source {source.name} has caps and there is nothing to count them with")


class PostgresCounter:
    """Counts in intake's own schema. After a failure all are refused for a second, then one tries again."""

    def __init__(self, dsn: str, worker: str) -> None:
        self._dsn, self._worker = dsn, worker
        self._session: Session | None = None
        self._thread = ThreadPoolExecutor(1, "caps")
        self._waiting = 0
        self._broken_until = 0.0

    async def __call__(self, source: Source, ids: Sequence[str], now: datetime) -> Mapping[str, Window]:
        """See `Counter`."""
        if self._waiting >= _MOST_WAITING:
            raise Unavailable(f"{self._waiting} requests wait for their caps")
        self._waiting += 1
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._take, source, ids, now)
        asked.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), _WITHIN_S)
        except TimeoutError:
            raise Unavailable("PostgreSQL did not count in time") from None

    def close(self) -> None:
        """Let go; what is being counted is counted to its end."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._end_session()

    def _answered(self, asked: asyncio.Future[dict[str, Window]]) -> None:
        self._waiting -= 1
        if not asked.cancelled():
            asked.exception()  # looked at, also when nobody waits for it any more

    def _take(self, source: Source, ids: Sequence[str], now: datetime) -> dict[str, Window]:
        if time.monotonic() < self._broken_until:
            raise Unavailable("PostgreSQL does not answer")
        try:
            self._session = self._session or self._opened()
            with transaction(self._session) as cursor:
                return take_places(cursor, source, ids, now)
        except psycopg2.Error as error:
            self._broken_until = time.monotonic() + _AGAIN_AFTER_S
            self._end_session()
            log.warning("caps.unavailable", error=type(error).__name__)
            raise Unavailable("PostgreSQL does not count") from error

    def _opened(self) -> Session:
        migrate(self._dsn, "intake", ("services.runtime", "services.intake"))
        return connect(self._dsn, "intake", f"caudal-intake-http-{self._worker}")

    def _end_session(self) -> None:
        if self._session is not None:
            with suppress(psycopg2.Error):
                self._session.close()
            self._session = None
