"""Which row of a table is its header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.intake.fields import canonical

LOOKED_AT = 30
"""Rows from which the header is found."""
_LONGEST_VALUE = 320  # characters by which a cell is told; the pattern's time grows with their square
_VALUE = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[+(]?\d[\d\s().,/:+-]*|https?://\S+")


@dataclass(frozen=True, slots=True)
class Header:
    """The columns' names, no two alike, and the place of the header among the rows; None where the table has none."""

    columns: tuple[str, ...]
    place: int | None


def header_of(rows: Sequence[tuple[str, ...]]) -> Header:
    """The header of a table from its first rows: titles may stand above it.

    It is the first row about as wide as the table, all of words. A table whose first wide row holds addresses or
    numbers has no header; its columns are then called `column 1` and so on.
    """
    width = _usual_width(rows)
    for place, row in enumerate(rows[:LOOKED_AT]):
        filled = [cell for cell in row if cell]
        if len(filled) * 2 < width or (width > 2 and len(filled) < 2):
            continue
        if _is_header(filled):
            return Header(named(row, max(width, len(row))), place)
        break
    return Header(tuple(f"column {n}" for n in range(1, width + 1)), None)


def named(row: Sequence[str], width: int) -> tuple[str, ...]:
    """Names for all columns: an empty one by its number, a repeated one with how often it came."""
    seen: Counter[str] = Counter()
    names = []
    for n in range(width):
        name = " ".join(row[n].split())[:100] if n < len(row) and row[n] else f"column {n + 1}"
        seen[name.lower()] += 1
        names.append(name if seen[name.lower()] == 1 else f"{name} ({seen[name.lower()]})")
    return tuple(names)


def _usual_width(rows: Sequence[tuple[str, ...]]) -> int:
    widths = Counter(len(row) for row in rows)
    return max(widths, key=lambda width: (widths[width], width)) if widths else 0


def _is_header(filled: Sequence[str]) -> bool:
    """Words that we know, or at least nothing that is a value."""
    values = sum(_VALUE.fullmatch(cell[:_LONGEST_VALUE]) is not None for cell in filled)
    return values == 0 or (values * 3 <= len(filled) and any(map(canonical, filled)))
