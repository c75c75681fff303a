"""Analytics' rows as SQL would flatten them: the oracle for `standings` and `arrivals`."""

from __future__ import annotations

from datetime import UTC, timedelta

from services.analytics.contribution import Arrival, Standing
from services.analytics.rows import Closing, Lead, Qualified, Submission


def standing(lead: Lead) -> Standing:
    """Where this lead stands."""
    q = lead.qualified or Qualified(0, None, "", "", "", "", "", False)  # type: ignore[arg-type]
    closing = lead.closing or Closing(None, None, None, None)  # type: ignore[arg-type]
    return Standing(
        q.opened_at.astimezone(UTC).date() if lead.qualified else None, q.source, q.origin_type, q.campaign, q.warmth,
        q.is_test, lead.assigned.state if lead.assigned else None, lead.holder.rep_id if lead.holder else None,
        lead.assigned_at is not None, lead.accepted_at is not None, closing.outcome, closing.cents, closing.currency,
    )  # fmt: skip


def arrival(submission: Submission) -> Arrival:
    """Where this submission stands."""
    received, assigned = submission.received_at, submission.assigned_at
    waited = (assigned - received) / timedelta(milliseconds=1) if received and assigned else None
    return Arrival(
        received.astimezone(UTC).date() if received else None, submission.source, submission.end_state, waited
    )
