"""Reads one sheet and writes its rows as JSON lines: a process of its own, which a hostile file may kill.

    python -m services.intake.files.sheetchild DESCRIPTOR SHEET

First line: the sheet's name and the names of all, or an error. Then `[number, cells]` a row, at last `[0, []]`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import sys
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

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
            sheet = _chosen(book, sys.argv[2])
        except PasswordError:
            _say({"error": "the spreadsheet is locked with a password; save it without one"})
            return
        except (CalamineError, LookupError, ValueError, OSError) as error:
            _say({"error": str(error) if isinstance(error, LookupError) else "the spreadsheet cannot be read"})
            return
    _say({"name": sheet.name, "names": book.sheet_names})
    _write(sheet)


def _chosen(book: CalamineWorkbook, wanted: str) -> CalamineSheet:
    """The sheet of that name or number, else the first that is shown and holds anything."""
    if wanted in book.sheet_names:
        return book.get_sheet_by_name(wanted)
    if wanted.isdecimal() and 0 < int(wanted) <= len(book.sheet_names):
        return book.get_sheet_by_index(int(wanted) - 1)
    if wanted:
        raise LookupError(f"no sheet {wanted!r}; there are {', '.join(book.sheet_names)}")
    for index, about in enumerate(book.sheets_metadata):
        if about.visible == SheetVisibleEnum.Visible:
            sheet = book.get_sheet_by_index(index)
            if sheet.height:
                return sheet
    raise LookupError("the spreadsheet is empty: no sheet of it holds a row")


def _write(sheet: CalamineSheet) -> None:
    for number, row in enumerate(sheet.iter_rows(), start=1):  # it begins at the sheet's first row, also an empty one
        cells = [_text(cell) for cell in row[:_MOST_CELLS]]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
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
