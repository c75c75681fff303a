"""The inbox: every event read, once (DESIGN §4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

from schemas.events.event import derived_id
from services.runtime.decode import FOR_EVER, Entry
from services.runtime.fence import SQL
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.service import LONGER_DAYS
from services.runtime.verdict import Dead, Incoming

State = tuple[str, str | None]
NULL = r"\N"
"""NULL in COPY's text format."""
RARELY = "autovacuum_vacuum_insert_scale_factor = 2, autovacuum_analyze_scale_factor = 2"
"""Rows come by the thousand and are found by id alone: vacuum and fresh statistics cost more than they give."""
COPY_CHARACTERS = 1 << 20
"""How much is handed to the server at once."""


class Inbox:
    """Remembers ids in the service's own schema. `keep_data` keeps the events too, and then no day is forgotten.

    Otherwise a day is dropped whole `days` after it: 30 more than the topics keep what could come again.
    """

    def __init__(self, *, keep_data: bool, days: int = 14 + LONGER_DAYS) -> None:
        self._keep_data, self._keep_days = keep_data, days
        self._days: set[date] = {FOR_EVER}

    def prepare(self, session: Session, entries: Sequence[Entry], now: datetime) -> None:
        """Create the day partitions that these entries need, apart from their transaction; drop those that are over."""
        first = now.date() - timedelta(days=self._keep_days)
        wanted = {e.day for e in entries if e.day not in self._days or self._may_be_gone(e.day, first)}
        if not wanted:
            return
        with transaction(session) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('caudal.inbox'), hashtext(current_schema()))")
            for day in sorted(wanted):
                _create_day(cursor, day)
            if not self._keep_data:
                _drop_before(cursor, first, keep=wanted)
        self._days |= wanted

    def _may_be_gone(self, day: date, first: date) -> bool:
        """Whether another worker may have dropped this day since we made it."""
        return not self._keep_data and FOR_EVER < day < first

    def remember(self, cursor: Cursor, entries: Sequence[Entry]) -> list[Entry]:
        """Those never seen before, in order; an id that came back with another body is among them as `id_reused`."""
        first: dict[tuple[str, date], Entry] = {}
        repeats: list[Entry] = []
        for entry in entries:
            if first.setdefault((entry.inbox_id, entry.day), entry) is not entry:
                repeats.append(entry)
        unique = sorted(first.values(), key=lambda e: e.inbox_id)
        fresh = self._insert(cursor, unique)
        known = [e for e in unique if (e.inbox_id, e.day) not in fresh] + repeats
        reused = self._insert_reused(cursor, [e for e in known if e.body_hash])
        admitted = {id(e) for e in unique if (e.inbox_id, e.day) in fresh}
        return [reused.get(e.place, e) for e in entries if id(e) in admitted or e.place in reused]

    def settle(self, cursor: Cursor, states: Mapping[tuple[str, date], State]) -> None:
        """Note end states other than done."""
        if states:
            cursor.execute(SQL["inbox_settle"], {
                "ids": [i for i, _ in states], "days": [d for _, d in states],
                "states": [s for s, _ in states.values()], "reasons": [r for _, r in states.values()],
            })  # fmt: skip

    def _insert(self, cursor: Cursor, entries: Sequence[Entry]) -> set[tuple[str, date]]:
        """Ids and days of these sorted entries that are new, or dead ones let in again."""
        if not entries:
            return set()
        new = set((_copy if self._keep_data else _write)(cursor, entries))
        repaired = {(e.inbox_id, e.day) for e in entries if e.repair and (e.inbox_id, e.day) not in new
                    and self._let_in(cursor, e)}  # fmt: skip
        return new | repaired

    def _let_in(self, cursor: Cursor, entry: Entry) -> bool:
        query = SQL["inbox_repair_data" if self._keep_data else "inbox_repair"]
        parameters = {"id": entry.inbox_id, "day": entry.day, "repair": entry.repair, **_event_of(entry)}
        return bool(select(cursor, query, parameters))

    def _insert_reused(self, cursor: Cursor, known: Sequence[Entry]) -> dict[tuple[str, int, int], Entry]:
        """Entries whose id stands for another body, each body counted once."""
        if not known:
            return {}
        rows = select(cursor, SQL["inbox_bodies"], {"ids": [e.inbox_id for e in known], "days": [e.day for e in known]})
        bodies = dict(rows)
        dead = Dead("id_reused", "this id came before with another body; send it under an id of its own")
        changed = {
            e.place: replace(e, inbox_id=derived_id(e.inbox_id, str(e.body_hash)), dead=dead, body_hash=None)
            for e in known
            if bodies.get(e.inbox_id) not in (None, e.body_hash)
        }
        by_id = {e.inbox_id: e for e in changed.values()}
        fresh = self._insert(cursor, [by_id[i] for i in sorted(by_id)])
        return {e.place: e for e in by_id.values() if (e.inbox_id, e.day) in fresh}


def _write(cursor: Cursor, entries: Sequence[Entry]) -> list[tuple[str, date]]:
    """In one step: half of a batch's time at a low load is waiting for answers."""
    return select(cursor, SQL["inbox_write"], {
        "ids": [e.inbox_id for e in entries], "days": [e.day for e in entries],
        "body_hashes": [e.body_hash for e in entries], "repairs": [e.repair for e in entries],
    })  # fmt: skip


def _copy(cursor: Cursor, entries: Sequence[Entry]) -> list[tuple[str, date]]:
    """In two steps, at half the cost: the events themselves go along."""
    seen = {"ids": [e.inbox_id for e in entries], "days": list({e.day for e in entries})}
    known = set(select(cursor, SQL["inbox_known"], seen))
    new = [e for e in entries if (e.inbox_id, e.day) not in known]
    if new:
        cursor.copy_expert(SQL["inbox_copy"], StringIO("".join([_row(e) for e in new])), COPY_CHARACTERS)
    return [(e.inbox_id, e.day) for e in new]


def _create_day(cursor: Cursor, day: date) -> None:
    sql = f"CREATE TABLE IF NOT EXISTS inbox_{day:%Y%m%d} PARTITION OF inbox FOR VALUES FROM (%s) TO (%s)"
    cursor.execute(f"{sql} WITH ({RARELY})", (day, day + timedelta(days=1)))


def _drop_before(cursor: Cursor, first: date, keep: Set[date]) -> None:
    for (name,) in select(cursor, SQL["inbox_days"]):
        day = datetime.strptime(name, "inbox_%Y%m%d").replace(tzinfo=UTC).date()
        if day < first and day not in keep:
            cursor.execute(f"DROP TABLE {name}")


def _row(entry: Entry) -> str:
    """One line of COPY's text format."""
    r, event = entry.record, _event_of(entry)
    return (
        f"{entry.inbox_id}\t{entry.day}\t{_copied(entry.body_hash)}\t{entry.repair}"
        f"\t{_copied(r.topic)}\t{r.partition}\t{r.offset}\t{_copied(event['type'])}\t{_copied(event['key'])}"
        f"\t{event['occurred_at'] or NULL}\t{event['recorded_at'] or NULL}\t{_copied(event['data'])}\n"
    )


def _event_of(entry: Entry) -> dict[str, Any]:
    """What a fact keeps of the event itself; nothing of what is none."""
    i = entry.incoming
    return {
        "type": i.type if i else None,
        "key": _clean(i.key) if i else None,
        "occurred_at": _moment(i, "occurred_at") if i else None,
        "recorded_at": _moment(i, "recorded_at") if i else None,
        "data": i.body.decode(errors="replace") if i and i.body else None,
    }


def _moment(event: Incoming, name: str) -> datetime:
    """In UTC, as PostgreSQL knows no zone beyond 16 hours; the record's own time where that is no year we count."""
    said = getattr(event.data, name, None)
    try:
        return said.astimezone(UTC) if isinstance(said, datetime) else event.timestamp
    except OverflowError:
        return event.timestamp


def _copied(text: str | None) -> str:
    if text is None:
        return NULL
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _clean(key: str) -> str:
    return key.replace("\x00", "�")[:200]
