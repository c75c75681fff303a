"""Reads of the database that never write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

import psycopg2

from services.runtime.postgres import Cursor, Session, connect

T = TypeVar("T")


@dataclass(slots=True)
class Reading:
    """One session, opened when first needed and anew when it was lost. Safe to use from several threads."""

    dsn: str
    _session: Session | None = None
    _lock: Lock = field(default_factory=Lock)

    def run(self, read: Callable[[Cursor], T]) -> T:
        """What `read` returns; raises psycopg2 errors as they come."""
        with self._lock:
            try:
                with self._open().cursor() as cursor:
                    return read(cursor)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.close()
                raise

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _open(self) -> Session:
        if self._session is None or self._session.closed:
            self._session = connect(self.dsn, "analytics", "caudal-console")
            self._session.set_session(readonly=True, autocommit=True)
        return self._session
