"""What could not be taken, for a person to mend: the original row, its number, the reason."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TextIO

from services.intake.files.delimited import Row
from services.intake.files.faults import BadRow

MOST_CELL_CHARS = 2000
ADDED = ("row", "code", "reason")
"""The columns before a list's own."""
_MOST_DIGITS = 18
_ASIDE = "mended"
_ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: where it would be one, behind an apostrophe. For exports only."""
    return "'" + cell if cell.startswith(_ACTIVE) else cell


def own_cells(cells: Sequence[str]) -> tuple[str, ...]:
    """A row of such a file as it stood in the list: without what was added, and without apostrophes of `inert`."""
    return tuple(cell[1:] if cell[:1] == "'" and cell[1:].startswith(_ACTIVE) else cell for cell in cells[len(ADDED) :])


def listed(rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
    """The rows of such a file as they stood in the list, by their numbers there."""
    for row in rows:
        yield Row(_own_number(row), own_cells(row.cells)) if isinstance(row, Row) else row


def _own_number(row: Row) -> int:
    """The number that stands in the row; its own where a person wrote something else there."""
    written = row.cells[0]
    return int(written) if written.isdecimal() and len(written) < _MOST_DIGITS else row.number


def out_of_the_way(file: Path, rejects: Path, stamp: str) -> Path:
    """Where a run reads its file: mended rejects move aside, or those that the run finds would take their place.

    `stamp`: of the run (`jobs.stamp`).
    """
    if not (rejects.exists() and file.samefile(rejects)):
        return file
    aside = rejects.parent / _ASIDE
    aside.mkdir(mode=0o700, exist_ok=True)
    return rejects.rename(aside / f"rejects-{stamp}.csv")


def forget_mended(file: Path, rejects: Path) -> None:
    """Remove a file that `out_of_the_way` moved, once all of it is sent: what was bad again stands in new rejects."""
    if file.parent == rejects.parent / _ASIDE:
        file.unlink()


class Rejects:
    """A CSV file, made with the first bad row; one from the run before goes."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self._file, self._columns = file, columns
        self._stream: TextIO | None = None
        file.unlink(missing_ok=True)

    def note(self, number: int, cells: Sequence[str], code: str, message: str) -> None:
        """One bad row."""
        if self._stream is None:
            self._stream = self._file.open("x", encoding="utf-8-sig", newline="")
            self._rows: Any = csv.writer(self._stream)
            self._rows.writerow([*ADDED, *map(inert, self._columns)])
        shown = [inert(cell[:MOST_CELL_CHARS].replace("\x00", "")) for cell in cells]
        missing = [""] * (len(self._columns) - len(shown))  # else a reader takes the row for a narrower one
        self._rows.writerow([number, code, inert(message), *shown, *missing])

    def flush(self) -> None:
        """Let a reader see what there is."""
        if self._stream:
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_how: object) -> None:
        if self._stream:
            self._stream.close()
