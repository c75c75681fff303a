"""Tables that are never cut: whole lines in a pipe, folded on a terminal that is too narrow."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.table import Column, Table

ANY_WIDTH = 10_000


def table(*names: str, title: str | None = None) -> Table:
    """A table with these columns, whose cells fold where the terminal is too narrow for them."""
    return Table(*(Column(name, overflow="fold") for name in names), title=title, title_justify="left")


def show(what: RenderableType) -> None:
    """Print to standard output: as wide as the terminal, and as wide as it gets where none is there."""
    out = Console(highlight=False)
    if not out.file.isatty():
        out = Console(highlight=False, width=ANY_WIDTH)
    out.print(what)
