"""The items of a file: what each says, its text as it stands there, its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from services.intake.files.cards import card_fields, cards
from services.intake.files.delimited import Row
from services.intake.files.encoding import Line
from services.intake.files.faults import BadRow, FileRefused
from services.intake.parse import Ambiguous, Unparsed, item_text, parse_item, parse_json
from services.intake.sources.adf import prospects

_MOST_ITEM_CHARS = 262_144
_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One item. `cells` are what a person finds in the file; `key` is its sender's own id, where it has one.

    `compared` is what must be the same when it comes again under its key, where that is not all of `raw`.
    """

    number: int
    cells: tuple[str, ...]
    content: Mapping[str, Any]
    raw: str
    key: str | None = None
    compared: str | None = None


def of_rows(
    rows: Iterable[Row | BadRow], columns: Sequence[str], header_cells: Sequence[str]
) -> Iterator[Item | BadRow]:
    """Rows below the header; a header that comes again, as where exports are joined, is passed over."""
    header = tuple(header_cells)
    names = (*columns, *(f"column {n}" for n in range(len(columns) + 1, 501)))
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif row.cells != header:
            content = {name: cell for name, cell in zip(names, row.cells, strict=False) if cell}
            yield _sized(Item(row.number, row.cells, content, to_json(content).decode()))


def of_json_lines(lines: Iterable[Line]) -> Iterator[Item | BadRow]:
    """One JSON object a line; blank lines are passed over."""
    for line in lines:
        text = None if line.text is None else line.text.strip("\ufeff \t\r\n")
        if text is None:
            yield BadRow(line.number, (), "too_long", "the line is too long")
        elif text:
            yield _object(line.number, text, parse_item(text.encode()))


def of_json(body: bytes) -> Iterator[Item | BadRow]:
    """The objects of one JSON array. Raises `FileRefused` for one that is too large, or no JSON."""
    if len(body) > _MOST_BYTES:
        raise FileRefused("a JSON array has at most 64 MB; write one object a line instead")
    content = parse_json(body)
    if isinstance(content, Unparsed):
        raise FileRefused(f"{content.message}; one object a line would lose only the bad lines")
    for number, value in enumerate(content if isinstance(content, list) else [content], start=1):
        yield _object(number, None if isinstance(value, Ambiguous) else item_text(value), value)


def of_cards(lines: Iterable[Line]) -> Iterator[Item | BadRow]:
    """The cards of a file."""
    for found in cards(lines):
        if isinstance(found, BadRow):
            yield found
            continue
        number, text = found
        try:
            content = card_fields(text)
        except ValueError as error:
            yield BadRow(number, (text[:2000],), "bad_card", str(error))
        else:
            yield _sized(Item(number, tuple(content.values()), content, text))


def of_adf(body: bytes, encoding: str) -> Iterator[Item | BadRow]:
    """The prospects of a file, wherever they stand in it, numbered in their order. Raises `FileRefused`."""
    if len(body) > _MOST_BYTES:
        raise FileRefused("a file of prospects has at most 64 MB; part it")
    for number, prospect in enumerate(prospects(body.decode(encoding, errors="replace").replace("\x00", "")), start=1):
        values = tuple(prospect.content.values())
        yield _sized(Item(number, values, prospect.content, prospect.raw, prospect.key, prospect.compared))


def _object(number: int, text: str | None, content: Any) -> Item | BadRow:
    cells = ((text or "")[:2000],)
    match content:
        case Unparsed():
            return BadRow(number, cells, content.code, content.message)
        case Ambiguous():
            return BadRow(number, cells, "duplicate_key", f"{content.key[:100]} stands twice with different values")
        case dict():
            return _sized(Item(number, cells, content, text or ""))
    return BadRow(number, cells, "not_an_object", "an item must be a JSON object with named fields")


def _sized(item: Item) -> Item | BadRow:
    if len(item.raw) <= _MOST_ITEM_CHARS:
        return item
    return BadRow(item.number, item.cells[:20], "too_large", f"one item has at most {_MOST_ITEM_CHARS} characters")
