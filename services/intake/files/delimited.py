"""CSV and its kin: the delimiter, and rows that one bad quote cannot swallow."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.intake.files.encoding import LONGEST_LINE, Line
from services.intake.files.faults import BadRow

DELIMITERS = ";\t,|"
MOST_COLUMNS = 500
_MOST_LINES = 100  # of one row: texts with line breaks in quotes
_TOO_LONG = f"the line is longer than {LONGEST_LINE} bytes"


@dataclass(frozen=True, slots=True)
class Row:
    """One row's cells, and the number of its first line."""

    number: int
    cells: tuple[str, ...]


def delimiter_of(sample: Sequence[str]) -> str:
    """The delimiter by which most lines fall into the same number of cells, more than one; a comma where none does."""

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if any(map(str.strip, row))]
        common = max(set(widths), key=lambda width: (widths.count(width), width)) if widths else 1
        if common == 1:
            return 0.0, 0
        return widths.count(common) / len(widths), common

    csv.field_size_limit(LONGEST_LINE * 4)
    best = max(DELIMITERS, key=evenness)
    return best if evenness(best)[1] > 1 else ","


@dataclass(slots=True)
class Rows:
    """The rows of a delimited text, one after the other.

    A row ends where its quotes do. Where they never do, or the row has swallowed others, only its first line is bad and
    reading goes on with the next one: one stray quote costs one row.
    """

    lines: Iterator[Line]
    delimiter: str
    width: int | None = None
    _again: deque[Line] = field(default_factory=deque)
    _pulled: list[Line] = field(default_factory=list)

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Rows and bad rows in the order of the file; blank lines are passed over."""
        while (line := self._next()) is not None:
            if line.text is None:
                yield BadRow(line.number, (), "too_long", _TOO_LONG)
            elif line.text.strip(" \r\n\t;,|\ufeff"):
                found = self._row(line, line.text)
                if isinstance(found, BadRow) or any(found.cells):
                    yield found

    def _next(self) -> Line | None:
        return self._again.popleft() if self._again else next(self.lines, None)

    def _row(self, line: Line, text: str) -> Row | BadRow:
        cells = self._parsed(text)
        if cells is not None and not self._swallowed_others(len(cells)):
            return self._measured(line.number, cells)
        self._again.extendleft(reversed(self._pulled))
        loose = self._loosely(text)
        if loose is not None:
            return self._measured(line.number, loose)
        return BadRow(line.number, (text.strip()[:2000],), "bad_quotes", "a quote of this row is never closed")

    def _swallowed_others(self, cells: int) -> bool:
        """Whether a row of several lines is of the wrong width because it holds what look like rows of their own."""
        if not self._pulled or self.width is None or cells == self.width:
            return False
        marks = self.width - 1
        return cells > self.width or any((line.text or "").count(self.delimiter) == marks for line in self._pulled)

    def _parsed(self, text: str) -> list[str] | None:
        """The row that begins with this line, with as many more lines as its quotes ask for; None where it has none."""
        self._pulled = []
        try:
            return next(csv.reader(self._more(text), delimiter=self.delimiter, strict=True), [])
        except csv.Error:
            return None

    def _more(self, text: str) -> Iterator[str]:
        yield text
        size = len(text)
        while len(self._pulled) < _MOST_LINES and size < LONGEST_LINE and (line := self._next()) is not None:
            self._pulled.append(line)
            if line.text is None:
                return
            size += len(line.text)
            yield line.text

    def _loosely(self, text: str) -> list[str] | None:
        """The line alone, its quotes taken as letters, where it then has the cells that it should."""
        cells = text.rstrip("\r\n").split(self.delimiter)
        return [cell.strip('"') for cell in cells] if len(cells) == self.width else None

    @staticmethod
    def _measured(number: int, cells: Sequence[str]) -> Row | BadRow:
        if len(cells) > MOST_COLUMNS:
            message = f"the row has {len(cells)} cells; at most {MOST_COLUMNS} are read"
            return BadRow(number, tuple(cells[:20]), "too_many_columns", message)
        return Row(number, tuple(map(str.strip, cells)))
