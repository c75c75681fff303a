"""Rows of any report as a table for a terminal, as JSON, as CSV, or as cells for a page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from rich.table import Table

from services.analytics.reports.money import Money

SHARES = frozenset({"win_rate", "within_1_s", "within_5_min"})
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def columns(rows: Sequence[Any]) -> tuple[str, ...]:
    """Names of the fields that say anything: those that are None in every row were not asked for."""
    return tuple(f.name for f in fields(rows[0]) if any(getattr(r, f.name) is not None for r in rows)) if rows else ()


def cells(rows: Sequence[Any]) -> list[list[str]]:
    """Every row as the texts that a person reads."""
    names = columns(rows)
    return [[text(name, getattr(row, name)) for name in names] for row in rows]


def text(name: str, value: Any) -> str:
    """One value for a person: shares in per cent, times of day in UTC, milliseconds with one unit."""
    if value is None:
        return ""
    if name in SHARES:
        return f"{value * 100:.1f} %"
    if name.endswith("_ms"):
        return duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return str(value)


def duration(ms: float) -> str:
    """Milliseconds in the largest unit that keeps the figure above one: 42 ms, 1.3 s, 4.0 min, 2.5 h, 1.0 d."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms:.0f} ms"


def as_table(title: str, rows: Sequence[Any]) -> Table:
    """For a terminal."""
    table = Table(title=title, title_justify="left")
    numeric = {n for n in columns(rows) if isinstance(getattr(rows[0], n), int | float)}
    for name in columns(rows):
        table.add_column(name.replace("_", " "), justify="right" if name in numeric else "left", overflow="fold")
    for line in cells(rows):
        table.add_row(*(cell.replace("[", r"\[") for cell in line))
    return table


def as_json(rows: Sequence[Any]) -> str:
    """One object per row; money as text with its currency, shares as fractions, times in ISO 8601."""
    return json.dumps(
        [{name: _plain(getattr(row, name)) for name in columns(rows)} for row in rows], ensure_ascii=False
    )


def as_csv(rows: Sequence[Any]) -> str:
    """With a header line (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe first."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = columns(rows)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_inert(_plain(getattr(row, name))) for name in names])
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Money):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _inert(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
