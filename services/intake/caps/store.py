"""What the caps remember: one row a window and source, one a submission."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.intake.caps.windows import Window, places, window
from services.intake.sources.source import Source
from services.runtime.postgres import Cursor, load_queries, select

SQL = load_queries("services.intake.caps")
_REMEMBERED = timedelta(days=30)


def take_places(cursor: Cursor, source: Source, ids: Sequence[str], now: datetime) -> dict[str, Window]:
    """Count these submissions where there is room; of each of the others the window that is full.

    The windows' rows are locked to the end of the transaction, so that no two callers share the last place.
    """
    windows = {one.key: one for one in (window(cap, now) for cap in sorted(source.caps, key=lambda c: -c.most))}
    given = {"source": source.name, "keys": list(windows), "ids": list(ids), "now": now}
    if select(cursor, SQL["make_windows"], given):
        cursor.execute(SQL["forget"], {**given, "before": now - _REMEMBERED})
    used = dict(select(cursor, SQL["lock_windows"], given))
    counted = {one for (one,) in select(cursor, SQL["counted"], given)}
    taken, refused = places(windows.values(), used, counted, ids)
    if taken:
        cursor.execute(SQL["count"], {**given, "ids": taken, "number": len(taken)})
    return refused


def filled(cursor: Cursor, source: Source, now: datetime) -> list[tuple[Window, int]]:
    """Each present window of the source's caps, and how many leads it has counted; nothing is locked."""
    windows = [window(cap, now) for cap in source.caps]
    used = dict(select(cursor, SQL["used"], {"source": source.name, "keys": [one.key for one in windows]}))
    return [(one, used.get(one.key, 0)) for one in windows]
