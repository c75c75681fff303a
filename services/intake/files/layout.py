"""How one file is laid out: found by a look at its beginning, or said by a person."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from services.intake.files import items
from services.intake.files.delimited import DELIMITERS, MOST_COLUMNS, Row, Rows, delimiter_of
from services.intake.files.encoding import encoding_of, known_encoding, lines
from services.intake.files.faults import BadRow, FileRefused
from services.intake.files.header import LOOKED_AT, header_of, named
from services.intake.files.kinds import HEAD_BYTES, Kind, kind_of
from services.intake.files.opened import UpTo
from services.intake.files.rejects import ADDED, listed, own_cells
from services.intake.files.spreadsheets import Sheet

SAMPLE_ROWS = 100
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person said of the file; None where it is to be found out."""

    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Kind, encoding, delimiter, sheet, columns and the row that is the header, with the first rows as a sample.

    `others` are the sheets that hold rows, too, where nobody said which one to take. `rejects`: it is
    the rejects of an import, whose added columns are passed over.
    """

    kind: Kind
    size: int
    encoding: str = "utf-8"
    delimiter: str = ""
    sheet: str = ""
    others: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rejects: bool = False
    header_number: int = 0
    header_cells: tuple[str, ...] = ()
    sample: tuple[tuple[str, ...], ...] = ()


def look(stream: BinaryIO, path: Path, asked: Asked) -> Layout:
    """The layout of a file. Raises `FileRefused`."""
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    encoding = known_encoding(asked.encoding) if asked.encoding else encoding_of(head, len(head) == size)
    kind = kind_of(head, head.decode(encoding, errors="replace"), path.suffix)
    found = Layout(kind, size, encoding)
    if kind == "sheet":
        return _of_sheet(stream, found, asked)
    if kind == "delimited":
        return _of_text(stream, found, asked)
    return _of_objects(stream, found)


def read(stream: BinaryIO, layout: Layout) -> Iterator[items.Item | BadRow]:
    """All items of the file, in its order, in constant memory. Raises `FileRefused` midway."""
    match layout.kind:
        case "delimited":
            width = len(layout.columns) + (len(ADDED) if layout.rejects else 0)
            rows = Rows(lines(UpTo(stream, layout.size), layout.encoding), layout.delimiter, width)
            yield from _of_table(rows, layout)
        case "sheet":
            sheet = Sheet(stream, layout.sheet)
            try:
                yield from _of_table(sheet, layout)
            finally:
                sheet.close()
        case "json":
            yield from items.of_json(UpTo(stream, layout.size).read())
        case "jsonl":
            yield from items.of_json_lines(lines(UpTo(stream, layout.size), layout.encoding))
        case "vcard":
            yield from items.of_cards(lines(UpTo(stream, layout.size), layout.encoding))
        case "adf":
            yield from items.of_adf(UpTo(stream, layout.size).read(), layout.encoding)


def _of_table(rows: Iterable[Row | BadRow], layout: Layout) -> Iterator[items.Item | BadRow]:
    below = itertools.dropwhile(lambda row: row.number <= layout.header_number, rows)
    return items.of_rows(listed(below) if layout.rejects else below, layout.columns, layout.header_cells)


def _of_text(stream: BinaryIO, found: Layout, asked: Asked) -> Layout:
    first = [line.text for line in itertools.islice(lines(UpTo(stream, found.size), found.encoding), SAMPLE_ROWS)]
    delimiter = _NAMES.get(asked.delimiter or "", asked.delimiter) or delimiter_of([text for text in first if text])
    if len(delimiter) != 1:
        raise FileRefused(f"a delimiter is one character, such as one of {' '.join(DELIMITERS)!r}, or tab")
    rows = Rows(lines(UpTo(stream, found.size), found.encoding), delimiter)
    return _with_header(found, list(itertools.islice(rows, SAMPLE_ROWS)), delimiter=delimiter)


def _of_sheet(stream: BinaryIO, found: Layout, asked: Asked) -> Layout:
    sheet = Sheet(stream, asked.sheet)
    try:
        return _with_header(
            found, list(itertools.islice(sheet, SAMPLE_ROWS)), sheet=sheet.name, others=tuple(sheet.others)
        )
    finally:
        sheet.close()


def _with_header(found: Layout, first: list[Row | BadRow], **known: Any) -> Layout:
    rows = [row for row in first if isinstance(row, Row)]
    if not rows:
        wide = next((row for row in first if isinstance(row, BadRow)), None)
        raise FileRefused(f"no row of the file can be read: {wide.message if wide else 'there is none'}")
    header = header_of([row.cells for row in rows[:LOOKED_AT]])
    at = -1 if header.place is None else header.place
    laid = Layout(
        found.kind, found.size, found.encoding, columns=header.columns, sample=tuple(r.cells for r in rows[at + 1 :]),
        header_number=rows[at].number if at >= 0 else 0, header_cells=rows[at].cells if at >= 0 else (), **known,
    )  # fmt: skip
    return _as_listed(laid) if laid.header_cells[: len(ADDED)] == ADDED else laid


def _as_listed(laid: Layout) -> Layout:
    """Of rejects, the layout of the list that they come from."""
    own = own_cells(laid.header_cells)
    columns = named(own, max(len(own), len(laid.columns) - len(ADDED)))
    sample = tuple(map(own_cells, laid.sample))
    return replace(laid, rejects=True, header_cells=own, columns=columns, sample=sample)


def _of_objects(stream: BinaryIO, found: Layout) -> Layout:
    """Of files that name their fields in each item: all names of the first items are the columns."""
    first = [i for i in itertools.islice(read(stream, found), SAMPLE_ROWS) if isinstance(i, items.Item)]
    columns = tuple(dict.fromkeys(name for item in first for name in item.content))[:MOST_COLUMNS]
    sample = tuple(tuple(_shown(item.content.get(name)) for name in columns) for item in first)
    return Layout(found.kind, found.size, found.encoding, columns=columns, sample=sample)


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
