"""What a worker knows of the partitions that it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.runtime.transport import Partition


@dataclass(slots=True)
class Position:
    """One partition. `applied`: the next offset to apply; `comes_next`: what the next poll must begin with, if known.

    `asked`: the end offset, and the moment of asking for it; it stands until everything below is applied.
    `unpublished_text`: `pending` still holds the text of what was published.
    """

    epoch: int
    applied: int
    comes_next: int | None = None
    asked: tuple[datetime, int] | None = None
    unpublished_text: bool = False


Holding = dict[Partition, Position]


def epochs(holding: Holding, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The epochs under which these partitions are held."""
    return {p: holding[p].epoch for p in partitions}
