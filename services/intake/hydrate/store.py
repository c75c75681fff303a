"""The only SQL of hydrate: the queue, locked and written; a session of its own for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import NamedTuple

from schemas.events.leads import LeadNotified
from services.intake.hydrate.queue import Key, Notice, Origin, Queue
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.verdict import Context, Incoming

SQL = load_queries("services.intake.hydrate")


class Share(NamedTuple):
    """How many leads of a source are in one state for one reason.

    `oldest`: when the first of those that wait was told; `since`: since when they are parked, or fail.
    """

    source: str
    state: str
    leads: int
    oldest: datetime | None
    since: datetime | None
    why: str | None


def gather(cursor: Cursor, events: Sequence[Incoming], _context: Context) -> Queue:
    """The rows of the leads that these notices speak of, made where they were not known, locked."""
    told = sorted({(e.data.source, e.data.notice_id) for e in events if isinstance(e.data, LeadNotified)})
    if not told:
        return Queue()
    cursor.execute(SQL["source_placeholders"], {"sources": sorted({source for source, _ in told})})
    cursor.execute(SQL["notice_placeholders"], _keys(told))
    return Queue({row.key: row for row in lock(cursor, told)})


def apply(cursor: Cursor, queue: Queue) -> None:
    """Write every row that was replaced."""
    write(cursor, [queue.rows[key] for key in sorted(queue.changed)])


def lock(cursor: Cursor, keys: Sequence[Key]) -> list[Notice]:
    """These rows, locked."""
    return [Notice(*row) for row in select(cursor, SQL["notice_lock"], _keys(keys))]


def write(cursor: Cursor, rows: Sequence[Notice]) -> None:
    """Replace rows."""
    if rows:
        columns = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Notice)}
        cursor.execute(SQL["notice_write"], columns)


def due_sources(cursor: Cursor, now: datetime) -> list[Origin]:
    """Sources with something to ask for, locked."""
    return [Origin(*row) for row in select(cursor, SQL["sources_due"], {"now": now})]


def lock_source(cursor: Cursor, source: str) -> Origin:
    """One source, locked."""
    return Origin(*select(cursor, SQL["source_lock"], {"source": source})[0])


def write_source(cursor: Cursor, state: Origin) -> None:
    """Replace a source."""
    cursor.execute(SQL["source_write"], asdict(state))


def claimable(cursor: Cursor, source: str, now: datetime, limit: int) -> list[Key]:
    """Leads to ask for, the longest due first, locked."""
    rows = select(cursor, SQL["claimable"], {"source": source, "now": now, "limit": limit})
    return [(source, notice_id) for (notice_id,) in rows]


def put_off(cursor: Cursor, key: Key, until: datetime) -> None:
    """Later again; a claim on its way is nobody's any more."""
    cursor.execute(SQL["put_off"], {"source": key[0], "notice_id": key[1], "until": until})


def backlog(cursor: Cursor) -> list[tuple[str, int, datetime | None]]:
    """How many leads of each source wait, and since when the oldest does."""
    return [(source, count, oldest) for source, count, oldest in select(cursor, SQL["backlog"])]


def overview(cursor: Cursor) -> list[Share]:
    """How many leads of each source are in each state, and why."""
    return [Share(*row) for row in select(cursor, SQL["overview"])]


def retry(cursor: Cursor, source: str) -> int:
    """Let in again what was given up of a source; how many."""
    cursor.execute(SQL["retry"], {"source": source})
    return cursor.rowcount


def _keys(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {"sources": [source for source, _ in keys], "ids": [notice_id for _, notice_id in keys]}
