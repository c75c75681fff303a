"""Fences: a worker's numbered right to write for a partition (DESIGN §4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.runtime.errors import Fenced
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.transport import Partition

SQL = load_queries("services.runtime")
Epochs = Mapping[Partition, int]


def columns(partitions: Iterable[Partition]) -> dict[str, list[object]]:
    """Partitions as two parallel arrays for `unnest`, sorted."""
    ordered = sorted(partitions)
    return {"topics": [t for t, _ in ordered], "partitions": [p for _, p in ordered]}


def create(cursor: Cursor, counts: Mapping[str, int]) -> None:
    """Make sure that every input partition has its row."""
    cursor.execute(SQL["fence_rows"], columns((t, p) for t, n in counts.items() for p in range(n)))


def take(cursor: Cursor, partitions: Iterable[Partition], owner: str) -> dict[Partition, tuple[int, int | None]]:
    """Raise the epochs: (epoch, next offset to apply or None) by partition."""
    rows = select(cursor, SQL["fence_take"], {**columns(partitions), "owner": owner})
    return {(t, p): (epoch, next_offset) for t, p, epoch, next_offset in rows}


def restart(cursor: Cursor, epochs: Epochs, next_offsets: Mapping[Partition, int]) -> None:
    """Go on at these offsets, lower ones too."""
    ordered = sorted(next_offsets)
    cursor.execute(SQL["fence_restart"], {
        **columns(ordered), "epochs": [epochs[p] for p in ordered], "offsets": [next_offsets[p] for p in ordered],
    })  # fmt: skip


def advance(cursor: Cursor, epochs: Epochs, next_offsets: Mapping[Partition, int | None]) -> None:
    """Lock the fences to the commit and move their offsets (None: do not). Raises `Fenced` where another owns them."""
    ordered = sorted(next_offsets)
    rows = select(cursor, SQL["fence_advance"], {
        **columns(ordered), "epochs": [epochs[p] for p in ordered], "offsets": [next_offsets[p] for p in ordered],
    })  # fmt: skip
    _refuse(ordered, rows)


def check(cursor: Cursor, epochs: Epochs) -> None:
    """Raises `Fenced` for partitions that have another owner now."""
    ordered = sorted(epochs)
    if ordered:
        rows = select(cursor, SQL["fence_check"], {**columns(ordered), "epochs": [epochs[p] for p in ordered]})
        _refuse(ordered, rows)


def note_applied(cursor: Cursor, epochs: Epochs, moments: Mapping[Partition, datetime]) -> None:
    """All inputs of these partitions are applied up to these moments."""
    ordered = sorted(moments)
    cursor.execute(SQL["fence_applied"], {
        **columns(ordered), "epochs": [epochs[p] for p in ordered], "moments": [moments[p] for p in ordered],
    })  # fmt: skip


def applied_until(cursor: Cursor, counts: Mapping[str, int]) -> datetime | None:
    """Moment until which all partitions of all these topics are applied; None while any of them never was."""
    rows = select(cursor, SQL["applied_until"], {"topics": list(counts), "counts": list(counts.values())})
    moment, known = rows[0]
    return moment if known == sum(counts.values()) else None


def _refuse(wanted: list[Partition], rows: list[tuple[object, ...]]) -> None:
    if len(rows) < len(wanted):
        raise Fenced(frozenset(wanted) - {(str(t), int(p)) for t, p in rows})  # type: ignore[call-overload]  # int column
