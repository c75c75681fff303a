"""Reads one sheet and writes its rows as JSON lines: a process of its own, which a hostile file may kill.

    python -m services.intake.files.sheetchild DESCRIPTOR SHEET

First line: the sheet's name and the names of all, or an error. Then `[number, cells]` a row, at last `[0, []]`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import resource
import sys
from collections.abc import Sequence
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from services.intake.fields import canonical
from services.intake.files.header import LOOKED_AT, header_of

_MEMORY_BYTES = 2_147_483_648
_CPU_S = 600
_MOST_CELLS = 501


def main() -> None:
    """Read as told, within bounds."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(int(sys.argv[1]), "rb") as stream:
        stream.seek(0)
        try:
            book = CalamineWorkbook.from_filelike(stream)
            sheet, others = _chosen(book, sys.argv[2])
        except PasswordError:
            _say({"error": "the spreadsheet is locked with a password; save it without one"})
            return
        except (CalamineError, LookupError, ValueError, OSError) as error:
            _say({"error": str(error) if isinstance(error, LookupError) else "the spreadsheet cannot be read"})
            return
    _say({"name": sheet.name, "names": book.sheet_names, "others": others})
    _write(sheet)


def _chosen(book: CalamineWorkbook, wanted: str) -> tuple[CalamineSheet, list[str]]:
    """The sheet of that name or number; else the likeliest list of those shown, with the names of others not empty."""
    if wanted in book.sheet_names:
        return book.get_sheet_by_name(wanted), []
    if wanted.isdecimal() and 0 < int(wanted) <= len(book.sheet_names):
        return book.get_sheet_by_index(int(wanted) - 1), []
    if wanted:
        raise LookupError(f"no sheet {wanted!r}; there are {', '.join(book.sheet_names)}")
    shown = [n for n, about in enumerate(book.sheets_metadata) if about.visible == SheetVisibleEnum.Visible]
    likeness = {n: like for n in shown if (like := _likeness(book.get_sheet_by_index(n)))}
    if not likeness:
        raise LookupError("the spreadsheet is empty: no sheet of it holds a row")
    best = max(likeness, key=lambda n: likeness[n])  # the first of equals
    return book.get_sheet_by_index(best), [book.sheet_names[n] for n in likeness if n != best]


def _likeness(sheet: CalamineSheet) -> tuple[int, int] | None:
    """How much a sheet looks like a list: its header names an e-mail or phone, or another field of ours; else its rows.

    None where it is empty.
    """
    if not sheet.height:
        return None
    rows = [cells for row in itertools.islice(sheet.iter_rows(), LOOKED_AT) if any(cells := _cells(row))]
    known = set(map(canonical, header_of(rows).columns)) - {None} if len(rows) > 1 else set()
    if not known:
        return 0, sheet.height
    return (1 if known.isdisjoint({"email", "phone"}) else 2), 0


def _cells(row: Sequence[Any]) -> tuple[str, ...]:
    cells = [_text(cell) for cell in row[:_MOST_CELLS]]
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _write(sheet: CalamineSheet) -> None:
    for number, row in enumerate(sheet.iter_rows(), start=1):  # it begins at the sheet's first row, also an empty one
        if cells := _cells(row):
            _say([number, cells])
    _say([0, []])


def _text(value: Any) -> str:
    """A cell's value as a person would write it; a formula's is its last result."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _say(content: Any) -> None:
    sys.stdout.write(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
