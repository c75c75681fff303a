"""Assignments: who holds a lead. This is the contract that CRMs consume."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from schemas.events.event import Event, Part, Reason
from schemas.events.leads import LeadState


class Owner(Part):
    """The rep that holds the lead. `number` counts the rep's assignments 1, 2, 3… without gap."""

    rep_id: str
    name: str
    pool: str
    destination: str
    number: int
    load: int
    """Open leads the rep held when chosen, this one not counted."""
    capacity: int
    """The cap that held then; `rules_version` says from which book."""


class Assignment(Event):
    """State of a lead's assignment; the type says what changed.

    `lead.parked`: nobody holds it, `reasons` say why. `lead.withdrawn` and `lead.closed`: not the CRM's any more.
    `attempt` counts owners of this lead; `respond_by` is the first-response deadline.
    """

    types: ClassVar[tuple[str, ...]] = (
        "lead.assigned", "lead.reassigned", "lead.updated", "lead.offered",
        "lead.parked", "lead.withdrawn", "lead.closed",
    )  # fmt: skip

    lead_id: str
    state: str
    """assigned, offered, parked, withdrawn or closed; treat any other as withdrawn."""
    lead: LeadState
    owner: Owner | None = None
    previous_owner: str | None = None
    attempt: int = 0
    assigned_at: AwareDatetime | None = None
    respond_by: AwareDatetime | None = None
    stage: str | None = None
    seen_version: int = 0
    """Version of `lead` on leads.qualified that this state rests on."""
    reasons: tuple[Reason, ...] = ()
    rules_version: str
