"""Speed to lead: from the moment intake accepted a submission until its lead had an owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.analytics.contribution import BOUNDS_MS
from services.analytics.reports.funnel import SQL
from services.analytics.reports.question import Question
from services.runtime.postgres import Cursor, select


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """Leads whose submission arrived in the period and that were assigned; times in milliseconds, from a histogram."""

    source: str | None
    leads: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    within_1_s: float
    within_5_min: float


def speed(cursor: Cursor, question: Question) -> Sequence[SpeedRow]:
    """Speed to lead by source, or over all sources when `by` does not name it."""
    rows = select(cursor, SQL["speed"], question.parameters())
    return [_row(source, {upto: n for _, upto, n in group}) for source, group in groupby(rows, key=lambda row: row[0])]


def _row(source: str | None, histogram: Mapping[int, int]) -> SpeedRow:
    total = sum(histogram.values())
    p50, p90, p99 = (percentile(histogram, share) or 0.0 for share in (0.5, 0.9, 0.99))
    within_1_s, within_5_min = (_within(histogram, ms) / total for ms in (1_000, 300_000))
    return SpeedRow(source, total, p50, p90, p99, within_1_s, within_5_min)


def _within(histogram: Mapping[int, int], ms: int) -> int:
    return sum(n for upto, n in histogram.items() if upto <= ms)


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """Milliseconds below which this share lies, by linear interpolation within its bucket (as Prometheus'
    `histogram_quantile`); the lower bound of the last, open bucket; None when nothing was counted.
    """
    total = sum(histogram.values())
    if total <= 0:
        return None
    rank, below, lower = share * total, 0, 0
    for upto in BOUNDS_MS[:-1]:
        n = histogram.get(upto, 0)
        if n and below + n >= rank:
            return lower + (upto - lower) * (rank - below) / n
        below, lower = below + n, upto
    return float(lower)
