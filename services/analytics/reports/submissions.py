"""What became of every submission: each has one end state, or is still on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.analytics.reports.funnel import SQL
from services.analytics.reports.question import Question
from services.runtime.postgres import Cursor, select


@dataclass(frozen=True, slots=True)
class SubmissionsRow:
    """Submissions that arrived in the period. `on_the_way` were accepted and have no end state yet."""

    source: str | None
    received: int
    opened: int
    attached: int
    interest: int
    disqualified: int
    test: int
    dead: int
    erased: int
    on_the_way: int


def submissions(cursor: Cursor, question: Question) -> Sequence[SubmissionsRow]:
    """Submissions by end state and source, or over all sources when `by` does not name it."""
    return [SubmissionsRow(*row) for row in select(cursor, SQL["submissions"], question.parameters())]
