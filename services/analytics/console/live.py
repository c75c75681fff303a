"""What moves right now, read from analytics' own tables in a few small queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas import topics
from services.analytics.console.latest import LatestLead, latest_leads
from services.analytics.reports.funnel import FunnelRow, funnel
from services.analytics.reports.question import Question
from services.analytics.reports.submissions import SubmissionsRow, submissions
from services.runtime.postgres import Cursor, load_queries, select

SQL = load_queries("services.analytics.console")
STAGES: Mapping[str, frozenset[str] | None] = {
    "intake": frozenset({topics.LEADS_RECEIVED.name}),
    "qualify": frozenset({topics.LEADS_QUALIFIED.name}),
    "router": frozenset({topics.LEADS_ASSIGNED.name}),
    "nurture": frozenset({topics.LEADS_TOUCHES.name}),
    "analytics": None,
}
"""The stages in the order of the flow, with the topics whose events are their work; to analytics every event is."""

SERIES_S = 60
RATE_S = 5
FUNNEL_DAYS = 30
NOTHING = SubmissionsRow(None, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters of one service, topic and reason that wait for repair."""

    service: str
    topic: str
    reason: str
    waiting: int
    last_at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Live:
    """One look. `series`: events per second of the last minute, by stage. `waits`: speed to lead since yesterday.

    `dead_kept` dead letters wait for repair, `dead_today` of them from this UTC day, in the groups `dead`.
    """

    at: datetime
    series: Mapping[str, Sequence[int]]
    waits: Mapping[int, int]
    today: SubmissionsRow
    funnel: Sequence[FunnelRow]
    dead_kept: int
    dead_today: int
    dead: Sequence[DeadGroup]
    latest: Sequence[LatestLead]


def look(cursor: Cursor, now: datetime) -> Live:
    """Read everything as it is at `now`."""
    day = now.date()
    kept = select(cursor, SQL["dead_kept"], {"since": datetime(day.year, day.month, day.day, tzinfo=UTC)})[0]
    today = submissions(cursor, Question(day, day + timedelta(days=1), ("owner",)))
    return Live(
        now,
        _series(cursor, now),
        dict(select(cursor, SQL["waits"], {"since": day - timedelta(days=1)})),
        today[0] if today else NOTHING,
        funnel(cursor, Question(day - timedelta(days=FUNNEL_DAYS - 1), day + timedelta(days=1))),
        kept[0],
        kept[1],
        [DeadGroup(*row) for row in select(cursor, SQL["dead_waiting"])],
        latest_leads(cursor, day),
    )


def rate(series: Sequence[int]) -> float:
    """Events per second over the last complete seconds."""
    return sum(series[-RATE_S:]) / RATE_S


def _series(cursor: Cursor, now: datetime) -> dict[str, list[int]]:
    """The last complete seconds; the one that still runs is left out."""
    start = now.replace(microsecond=0) - timedelta(seconds=SERIES_S)
    series = {stage: [0] * SERIES_S for stage in STAGES}
    for second, topic, n in select(cursor, SQL["throughput"], {"since": start}):
        place = int((second - start).total_seconds())
        for stage, counted in STAGES.items():
            if place < SERIES_S and (counted is None or topic in counted):
                series[stage][place] += n
    return series
