"""Outcomes: what a CRM reports back, raw and judged."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.events.event import Event, Part

OUTCOMES = (
    "lead.accepted", "lead.stage_changed", "visit.planned", "visit.held", "visit.cancelled",
    "lead.won", "lead.lost", "lead.returned", "order.placed",
)  # fmt: skip


class OutcomeReport(Part):
    """As a CRM writes it: only the lead's id is required, the type is the CloudEvents type."""

    types: ClassVar[tuple[str, ...]] = OUTCOMES

    lead_id: str
    occurred_at: AwareDatetime | None = None
    rep_id: str | None = None
    stage: str | None = None
    reason: str | None = None
    value: float | None = Field(default=None, ge=-1e12, le=1e12)
    """In units of the currency; no sum of money is larger."""
    currency: str | None = None
    note: str | None = None
    seen_submissions: int | None = Field(default=None, ge=1, le=1_000_000)
    """On won and lost: `lead.submissions` as the CRM last read it: whoever asked after that gets a new lead."""
    destination: str | None = None
    """Set by intake from the caller's key on outcomes.received; ignored elsewhere."""


class Outcome(Event):
    """An outcome that counts: it came from the lead's present or former destination."""

    types: ClassVar[tuple[str, ...]] = OUTCOMES

    lead_id: str
    destination: str
    by_holder: bool = True
    """Whether it speaks for the present holder: what a former one gave up or lost changes nothing for the lead."""
    seen_submissions: int | None = None
    """On won and lost: how many of the lead's submissions its owner knew of. Further ones asked in vain."""
    rep_id: str | None = None
    stage: str | None = None
    reason: str | None = None
    value: float | None = None
    currency: str | None = None
    note: str | None = None
