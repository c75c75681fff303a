"""From lead to sale: how many leads got how far, and what they brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.analytics.reports.money import Money
from services.analytics.reports.question import Question
from services.runtime.postgres import Cursor, load_queries, select

SQL = load_queries("services.analytics.reports")


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """Leads opened in the period, by the dimensions asked for (the others are None). `owner` is "" for parked leads.

    `win_rate` = won / leads. `revenue` per currency, to the cent.
    """

    source: str | None
    owner: str | None
    owner_name: str | None
    campaign: str | None
    warmth: str | None
    origin_type: str | None
    leads: int
    assigned: int
    accepted: int
    won: int
    lost: int
    returned: int
    parked: int
    win_rate: float
    revenue: tuple[Money, ...]


def funnel(cursor: Cursor, question: Question) -> Sequence[FunnelRow]:
    """The funnel, largest group first."""
    return [_row(*row) for row in select(cursor, SQL["funnel"], question.parameters())]


def _row(
    source: str | None, owner: str | None, owner_name: str | None, campaign: str | None, warmth: str | None,
    origin_type: str | None, leads: int, assigned: int, accepted: int, won: int, lost: int, returned: int,
    parked: int, cents: dict[str, int] | None,
) -> FunnelRow:  # fmt: skip
    revenue = tuple(Money(amount, currency) for currency, amount in sorted((cents or {}).items()))
    return FunnelRow(source, owner, owner_name, campaign, warmth, origin_type, leads, assigned, accepted, won, lost,
                     returned, parked, won / leads if leads else 0.0, revenue)  # fmt: skip
