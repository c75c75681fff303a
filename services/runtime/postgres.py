"""PostgreSQL sessions and named SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from services.runtime.literals import adapt_lists

Cursor = psycopg2.extensions.cursor
Session = psycopg2.extensions.connection

TOO_SLOW = "57014"
"""SQLSTATE of a statement that took longer than it may: the same again would, too."""
_LIMITS = "-c idle_in_transaction_session_timeout=4s -c lock_timeout=3s -c statement_timeout=5s"


def connect(dsn: str, schema: str, application: str, *, limits: bool = True) -> Session:
    """A session in the service's own schema, with the timeouts that free others from a stuck worker."""
    adapt_lists()
    options = f"-c search_path={schema} -c timezone=UTC" + (f" {_LIMITS}" if limits else "")
    return psycopg2.connect(
        dsn, options=options, application_name=application, connect_timeout=3,
        keepalives=1, keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=8000,
    )  # fmt: skip


@contextmanager
def transaction(session: Session) -> Iterator[Cursor]:
    """Commit at the end, roll back on any error."""
    with session, session.cursor() as cursor:
        yield cursor


def load_queries(package: str, name: str = "queries.sql") -> Mapping[str, str]:
    """Queries of a package's SQL file by name. Each starts with `-- name: x`; the sentence below says what it does."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: *(\w+) *$", text, flags=re.MULTILINE)
    return {parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)}


def select(cursor: Cursor, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one query and fetch all of its rows."""
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def migrate(dsn: str, schema: str, packages: Sequence[str]) -> None:
    """Create the schema and apply the `migrations/*.sql` of these packages in order, each once.

    Runs under an advisory lock, so that several workers may start together.
    """
    session = connect(dsn, schema, f"caudal-migrate-{schema}", limits=False)
    try:
        with transaction(session) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('caudal.migrate.' || %s))", (schema,))
            cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())"
            )
            done = {name for (name,) in select(cursor, "SELECT name FROM migration")}
            for name, sql in _migrations(packages):
                if name not in done:
                    cursor.execute(sql)
                    cursor.execute("INSERT INTO migration (name) VALUES (%s)", (name,))
    finally:
        session.close()


def _migrations(packages: Sequence[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        folder = files(package).joinpath("migrations")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            if entry.name.endswith(".sql"):
                yield f"{package}/{entry.name}", entry.read_text(encoding="utf-8")
