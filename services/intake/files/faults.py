"""What is wrong with a whole file, and what with one row of it."""

from __future__ import annotations

from dataclasses import dataclass


class FileRefused(Exception):
    """The file cannot be imported at all; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read: its number in the file, its cells or text so far, and why."""

    number: int
    cells: tuple[str, ...]
    code: str
    message: str
