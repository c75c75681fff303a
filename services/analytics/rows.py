"""What analytics keeps of a lead and of a submission, and how two accounts of one become one.

Every field, or group of fields with one writer, has an age or a rank, and the merge keeps the greater (milestones: the
earlier). So the merge does not depend on order or repetition; `queries.sql` does the same with `greatest` and `least`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

END_STATES = ("accepted", "dead", "disqualified", "interest", "attached", "opened", "test", "erased")
"""End states of a submission by rank; `accepted` is on its way and has none yet."""

RANK = {state: rank for rank, state in enumerate(END_STATES)}


class Qualified(NamedTuple):
    """Qualify's state of a lead, as far as it is counted."""

    version: int
    opened_at: datetime
    source: str
    origin_type: str
    campaign: str
    product_line: str
    warmth: str
    is_test: bool


class Assigned(NamedTuple):
    """Router's state of a lead."""

    version: int
    state: str


class Holder(NamedTuple):
    """The rep that router named last; parked and closed leads keep it."""

    version: int
    rep_id: str
    pool: str
    destination: str


class Closing(NamedTuple):
    """The latest end of a lead: won, lost or returned, with the value in hundredths of `currency`."""

    at: datetime
    outcome: str
    cents: int = 0
    currency: str = ""


class Lead(NamedTuple):
    """One lead, whole or as far as one event tells."""

    lead_id: str
    qualified: Qualified | None = None
    assigned: Assigned | None = None
    holder: Holder | None = None
    closing: Closing | None = None
    assigned_at: datetime | None = None
    accepted_at: datetime | None = None


class Submission(NamedTuple):
    """One submission, whole or as far as one event tells. `fact` is the inbox row of its `lead.received`."""

    submission_id: str
    received_at: datetime | None = None
    source: str | None = None
    fact: str | None = None
    end_state: str = "accepted"
    lead_id: str | None = None
    assigned_at: datetime | None = None


def merge_leads(a: Lead, b: Lead) -> Lead:
    """All that two accounts of one lead tell."""
    return Lead(
        a.lead_id,
        _greater(a.qualified, b.qualified),
        _greater(a.assigned, b.assigned),
        _greater(a.holder, b.holder),
        _greater(a.closing, b.closing),
        _earlier(a.assigned_at, b.assigned_at),
        _earlier(a.accepted_at, b.accepted_at),
    )


def merge_submissions(a: Submission, b: Submission) -> Submission:
    """All that two accounts of one submission tell."""
    ended = b if RANK[b.end_state] > RANK[a.end_state] else a
    received = a if a.received_at else b
    return Submission(
        a.submission_id, received.received_at, received.source, received.fact,
        ended.end_state, ended.lead_id, _earlier(a.assigned_at, b.assigned_at),
    )  # fmt: skip


def _greater(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return b if b > a else a


def _earlier(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
