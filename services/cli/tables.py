"""Tables that are never cut: whole lines in a pipe, folded on a terminal that is too narrow."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table

ANY_WIDTH = 10_000
_PICTURES = {
    **{code: 0x2400 + code for code in range(32) if chr(code) != "\n"}, 0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
}  # fmt: skip
"""Of control characters; those over 127, and those that turn the direction of writing, have none of their own."""


def plain(text: str) -> str:
    """A text that orders nothing of a terminal but new lines: its control characters as pictures, such as `␛`."""
    return text.translate(_PICTURES)


def table(*names: str, title: str | None = None) -> Table:
    """A table with these columns, whose cells fold where the terminal is too narrow for them."""
    return Table(*(Column(name, overflow="fold") for name in names), title=title, title_justify="left")


def show(what: RenderableType) -> None:
    """Print to standard output: as wide as the terminal, and as wide as it gets where none is there.

    What others wrote into it orders nothing of the terminal (`plain`).
    """
    out = Console(highlight=False)
    if not out.file.isatty():
        out = Console(highlight=False, width=ANY_WIDTH)
    out.print(_Plain(what))


class _Plain:
    """The same, its texts `plain`; the colours are ours."""

    def __init__(self, what: RenderableType) -> None:
        self._what = what

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._what, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
