"""Engagement: points for what a person did, fading with time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.qualify.rules import EngagementRules

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Engagement:
    """Points as worth at `at`; `at` None: nothing happened yet.

    Because every point fades at the same rate, this one sum stands for the whole history: points may be added in any
    order of time, and adding the same points negatively takes them away again.
    """

    points: float = 0.0
    at: datetime | None = None


def added(engagement: Engagement, points: float, at: datetime, rules: EngagementRules) -> Engagement:
    """With `points` that were earned at `at`. Exponential decay: worth after t days = points * 2^(-t / half-life)."""
    if engagement.at is None:
        return Engagement(points, at)
    if at >= engagement.at:
        return Engagement(engagement.points * _left(engagement.at, at, rules) + points, at)
    return Engagement(engagement.points + points * _left(at, engagement.at, rules), engagement.at)


def worth(engagement: Engagement, rules: EngagementRules) -> float:
    """What counts in a score: never above the book's limit."""
    return min(round(engagement.points, 2), rules.at_most)


def _left(earlier: datetime, later: datetime, rules: EngagementRules) -> float:
    days = (later - earlier).total_seconds() / DAY_S
    return float(2.0 ** (-days / rules.half_life_days))
