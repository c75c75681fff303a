"""`verify`: the aggregates must equal what a recount of all rows gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from services.analytics import contribution
from services.analytics.contribution import Arrival, Counts, FunnelKey, SpeedKey, Standing, SubmissionKey
from services.analytics.store import SQL
from services.runtime.postgres import Session, select

PAGE = 5000


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of an aggregate that is not what its rows add up to."""

    table: str
    key: tuple[object, ...]
    kept: Counts
    recounted: Counts


def differences(session: Session) -> list[Difference]:
    """Recount everything in one snapshot; no difference is what should come out.

    Takes the session's transaction: give it one of its own, outside any transaction.
    """
    with session:
        with session.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        return [
            *_compare(session, "funnel", FunnelKey, "standings", Standing, contribution.funnel),
            *_compare(session, "submissions", SubmissionKey, "arrivals", Arrival, contribution.submissions),
            *_compare(session, "speed", SpeedKey, "arrivals", Arrival, contribution.speed),
        ]


def _compare(
    session: Session, table: str, key: Any, query: str, row: Any, contribute: Callable[[Any], tuple[Any, Counts] | None]
) -> list[Difference]:
    recounted = contribution.changes(((None, row(*values)) for values in _stream(session, query)), contribute)
    width = len(key._fields)
    with session.cursor() as cursor:
        sums = {key(*r[:width]): r[width:] for r in select(cursor, SQL[f"kept_{table}"])}
    kept = {k: counts for k, counts in sums.items() if any(counts)}
    return [
        Difference(table, k, kept.get(k, ()), recounted.get(k, ()))
        for k in sorted(kept.keys() | recounted.keys())
        if kept.get(k) != recounted.get(k)
    ]


def _stream(session: Session, query: str) -> Iterator[tuple[Any, ...]]:
    with session.cursor(name=f"recount_{query}") as cursor:
        cursor.itersize = PAGE
        cursor.execute(SQL[query])
        yield from cursor
