"""How far an import is: a bar on a terminal, a line now and then elsewhere; on standard error."""

from __future__ import annotations

import time
from typing import BinaryIO, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from services.intake.files.jobs import Counts

_LINE_EVERY_S = 10.0


class Progress:
    """Told of counts again and again."""

    def __init__(self, doing: str, size: int, stream: BinaryIO) -> None:
        self._doing, self._size, self._stream = doing, size, stream
        self._began = self._said = time.monotonic()
        console = Console(stderr=True, highlight=False)
        self._bar: Bar | None = None
        if console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"),
                TimeElapsedColumn(), console=console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(doing, total=size, counts="")

    def told(self, counts: Counts) -> None:
        """Show these counts."""
        rate = (counts.sent + counts.known) / max(0.001, time.monotonic() - self._began)
        text = f"{counts.sent} sent, {counts.known} known, {counts.rejected} rejected, {rate:.0f} rows/s"
        if self._bar:
            self._bar.update(self._task, completed=min(self._size, self._stream.tell()), counts=text)
        elif time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            typer.echo(f"{self._doing}: {text}", err=True)

    def waits(self, behind: int) -> None:
        """Nobody reads what was sent."""
        sentence = f"waiting: {behind} records are unread by the services; is everything up? see `caudal status`"
        if self._bar:
            self._bar.console.print(sentence)
        else:
            typer.echo(sentence, err=True)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_how: object) -> None:
        if self._bar:
            self._bar.stop()
