"""Rows of any report as a table for a terminal, as JSON, as CSV; single values as a person reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from services.analytics.reports.money import Money

SHARES = frozenset({"win_rate", "within_1_s", "within_5_min"})
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def columns(rows: Sequence[Any]) -> tuple[str, ...]:
    """Names of the fields that say anything: those that are None in every row were not asked for."""
    return tuple(f.name for f in fields(rows[0]) if any(getattr(r, f.name) is not None for r in rows)) if rows else ()


def is_figure(value: Any) -> bool:
    """Whether a value lines up to the right: a number, or amounts of money."""
    return isinstance(value, int | float) or (isinstance(value, tuple) and all(isinstance(v, Money) for v in value))


def figure(value: float, digits: int = 0) -> str:
    """A number with so many decimals, thousands apart, as English writes it."""
    return f"{value:,.{digits}f}"


def text(name: str, value: Any, figure: Callable[[float, int], str] = figure) -> str:
    """One value for a person: shares in per cent, times in UTC, milliseconds with one unit, money to the cent."""
    if isinstance(value, float):
        return f"{figure(value * 100, 1)} %" if name in SHARES else duration(value, figure)
    if isinstance(value, int):
        return figure(value, 0)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return "; ".join(f"{figure(money.cents / 100, 2)} {money.currency}".rstrip() for money in value)
    return "" if value is None else str(value)


def duration(ms: float, figure: Callable[[float, int], str] = figure) -> str:
    """Milliseconds in the largest unit that keeps the figure above one: 42 ms, 1.3 s, 4.0 min, 2.5 h, 1.0 d."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= size:
            return f"{figure(ms / size, 1)} {unit}"
    return f"{figure(ms, 0)} ms"


def as_table(title: str, rows: Sequence[Any]) -> Table:
    """For a terminal."""
    table = Table(title=title, title_justify="left")
    names = columns(rows)
    for name in names:
        justify: Literal["right", "left"] = "right" if is_figure(getattr(rows[0], name)) else "left"
        table.add_column(name.replace("_", " "), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(escape(text(name, getattr(row, name))) for name in names))
    return table


def as_json(rows: Sequence[Any]) -> str:
    """One object per row; money as text with its currency, shares as fractions, times in ISO 8601."""
    names = columns(rows)
    return json.dumps([{name: _plain(getattr(row, name)) for name in names} for row in rows], ensure_ascii=False)


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
