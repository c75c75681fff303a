"""The inbox: every event read, once (DESIGN §4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from schemas.events.event import derived_id
from services.runtime.decode import FOR_EVER, Entry
from services.runtime.fence import SQL
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.verdict import Dead

State = tuple[str, str | None]


class Inbox:
    """Remembers ids in the service's own schema. `keep_data` keeps the events too."""

    def __init__(self, *, keep_data: bool) -> None:
        self._keep_data = keep_data
        self._days: set[date] = {FOR_EVER}

    def prepare(self, session: Session, entries: Sequence[Entry]) -> None:
        """Create the day partitions that these entries need, apart from their transaction."""
        wanted = {entry.day for entry in entries} - self._days
        if not wanted:
            return
        with transaction(session) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('caudal.inbox'), hashtext(current_schema()))")
            for day in sorted(wanted):
                _create_day(cursor, day)
        self._days |= wanted

    def remember(self, cursor: Cursor, entries: Sequence[Entry]) -> list[Entry]:
        """Those never seen before, in order; an id that came back with another body is among them as `id_reused`."""
        first: dict[tuple[str, date], Entry] = {}
        repeats: list[Entry] = []
        for entry in entries:
            if first.setdefault((entry.inbox_id, entry.day), entry) is not entry:
                repeats.append(entry)
        unique = sorted(first.values(), key=lambda e: e.inbox_id)
        fresh = self._insert(cursor, unique)
        known = [e for e in unique if e.inbox_id not in fresh] + repeats
        reused = self._insert_reused(cursor, [e for e in known if e.body_hash])
        admitted = {id(e) for e in unique if e.inbox_id in fresh}
        return [reused.get(e.place, e) for e in entries if id(e) in admitted or e.place in reused]

    def settle(self, cursor: Cursor, states: Mapping[tuple[str, date], State]) -> None:
        """Note end states other than done."""
        if states:
            cursor.execute(SQL["inbox_settle"], {
                "ids": [i for i, _ in states], "days": [d for _, d in states],
                "states": [s for s, _ in states.values()], "reasons": [r for _, r in states.values()],
            })  # fmt: skip

    def _insert(self, cursor: Cursor, entries: Sequence[Entry]) -> set[str]:
        if not entries:
            return set()
        parameters: dict[str, list[object]] = {
            "ids": [e.inbox_id for e in entries], "days": [e.day for e in entries],
            "body_hashes": [e.body_hash for e in entries], "repairs": [e.repair for e in entries],
        }  # fmt: skip
        if self._keep_data:
            parameters |= _data_columns(entries)
        rows = select(cursor, SQL["inbox_remember_data" if self._keep_data else "inbox_remember"], parameters)
        return {row[0] for row in rows}

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
        return {e.place: e for e in by_id.values() if e.inbox_id in fresh}


def _create_day(cursor: Cursor, day: date) -> None:
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS inbox_{day:%Y%m%d} PARTITION OF inbox FOR VALUES FROM (%s) TO (%s)",
        (day, day + timedelta(days=1)),
    )


def _data_columns(entries: Sequence[Entry]) -> dict[str, list[object]]:
    events = [e.incoming for e in entries]
    return {
        "topics": [e.record.topic for e in entries],
        "partitions": [e.record.partition for e in entries],
        "offsets": [e.record.offset for e in entries],
        "types": [i.type if i else None for i in events],
        "keys": [_clean(i.key) if i else None for i in events],
        "occurred": [getattr(i.data, "occurred_at", None) or i.timestamp if i else None for i in events],
        "recorded": [getattr(i.data, "recorded_at", None) or i.timestamp if i else None for i in events],
        "data": [i.body.decode(errors="replace") if i and i.body else None for i in events],
    }


def _clean(key: str) -> str:
    return key.replace("\x00", "�")[:200]
