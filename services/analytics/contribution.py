"""What one lead and one submission add to the aggregates: pure functions of their rows.

An aggregate changes by contribution after minus contribution before, so it always equals the sum over all rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple, TypeVar

BOUNDS_MS = (
    5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000,
    30_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000, 2_147_483_647,
)  # fmt: skip
"""Upper bounds of the speed-to-lead histogram in milliseconds, each inclusive; the last holds everything slower."""


class Standing(NamedTuple):
    """Where a lead stands, flat: all that its contribution depends on. `day` is the UTC day of opening."""

    day: date | None
    source: str
    origin_type: str
    campaign: str
    warmth: str
    is_test: bool
    state: str | None
    rep_id: str | None
    assigned: bool
    accepted: bool
    outcome: str | None
    cents: int | None
    currency: str | None


class FunnelKey(NamedTuple):
    """One row of the funnel, but for the shard. `owner` is empty while nobody holds the lead."""

    day: date
    source: str
    origin_type: str
    campaign: str
    owner: str
    warmth: str
    currency: str


class SubmissionKey(NamedTuple):
    """Submissions of one source and UTC day of arrival, by end state."""

    day: date
    source: str
    end_state: str


class SpeedKey(NamedTuple):
    """Accepted at intake until assigned, by source and UTC day of arrival, up to so many milliseconds."""

    day: date
    source: str
    upto_ms: int


class Arrival(NamedTuple):
    """Where a submission stands: all that its contribution depends on. `waited_ms`: accepted until lead assigned."""

    day: date | None
    source: str | None
    end_state: str
    waited_ms: float | None


Key = TypeVar("Key", bound=tuple[object, ...])
Row = TypeVar("Row")
Counts = tuple[int, ...]
FUNNEL_COUNTS = ("leads", "assigned", "accepted", "won", "lost", "returned", "parked", "cents")


def funnel(lead: Standing) -> tuple[FunnelKey, Counts] | None:
    """A lead counts once its origin is known and unless it is a test; a parked one has no owner."""
    if lead.day is None or lead.is_test:
        return None
    parked, won = lead.state == "parked", lead.outcome == "won"
    owner = "" if parked else lead.rep_id or ""
    currency = (lead.currency or "") if won else ""
    key = FunnelKey(lead.day, lead.source, lead.origin_type, lead.campaign, owner, lead.warmth, currency)
    return key, (
        1, int(lead.assigned), int(lead.accepted), int(won), int(lead.outcome == "lost"),
        int(lead.outcome == "returned"), int(parked), (lead.cents or 0) if won else 0,
    )  # fmt: skip


def submissions(arrival: Arrival) -> tuple[SubmissionKey, Counts] | None:
    """A submission counts from its arrival on, under its present end state."""
    if arrival.day is None:
        return None
    return SubmissionKey(arrival.day, arrival.source or "", arrival.end_state), (1,)


def speed(arrival: Arrival) -> tuple[SpeedKey, Counts] | None:
    """A submission that opened a lead counts once that lead was first assigned."""
    if arrival.end_state != "opened" or arrival.day is None or arrival.waited_ms is None:
        return None
    upto_ms = BOUNDS_MS[min(bisect_left(BOUNDS_MS, arrival.waited_ms), len(BOUNDS_MS) - 1)]
    return SpeedKey(arrival.day, arrival.source or "", upto_ms), (1,)


def changes(
    rows: Iterable[tuple[Row | None, Row]], contribution: Callable[[Row], tuple[Key, Counts] | None]
) -> dict[Key, Counts]:
    """Sum of contribution after minus contribution before over (before, after) pairs, without what did not change."""
    tally: Counter[tuple[Key, Counts]] = Counter()  # few leads differ in what they contribute, so add up last
    for before, after in rows:
        old = contribution(before) if before is not None else None
        new = contribution(after)
        if old is not None:
            tally[old] -= 1
        if new is not None:
            tally[new] += 1
    total: dict[Key, Counts] = {}
    for (key, counts), n in tally.items():
        total[key] = tuple(s + n * c for s, c in zip(total.get(key, (0,) * len(counts)), counts, strict=True))
    return {key: counts for key, counts in total.items() if any(counts)}
