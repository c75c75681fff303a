"""The working copy of what one batch needs: leads, and the reps' standings where somebody is to be chosen or freed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import from_json

from services.router.choice import Standing, Turn
from services.router.views import LeadOf, State


class Holder(NamedTuple):
    """A rep that holds or held a lead, and the destination where it did."""

    rep_id: str
    destination: str


class Lead(NamedTuple):
    """One lead's row. `version` 0: nothing told yet; `seen_version` 0: qualify has not told us of it.

    `state` is unknown, assigned, parked or closed. `respond_by` is None once the holder has answered, `retry_at` where
    a parked lead waits for a person. `document` is the state as last told on leads.assigned. The queries select the
    fields in this order.
    """

    lead_id: str
    version: int = 0
    seen_version: int = 0
    state: str = "unknown"
    stage: str | None = None
    respond_by: datetime | None = None
    pool: str | None = None
    retry_at: datetime | None = None
    rules_version: str | None = None
    correlation_id: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    document: str | None = None
    holders: tuple[Holder, ...] = ()

    @property
    def holder(self) -> Holder | None:
        """Who holds it now."""
        return self.holders[-1] if self.state == "assigned" else None

    @property
    def tried(self) -> tuple[str, ...]:
        """Reps that hold or held it."""
        return tuple([holder.rep_id for holder in self.holders])

    @property
    def destinations(self) -> frozenset[str]:
        """Destinations that have or had it."""
        return frozenset(holder.destination for holder in self.holders)

    def assignment(self) -> dict[str, Any]:
        """The assignment as last told: JSON objects, so that what newer writers added stays; empty before the first."""
        told: dict[str, Any] = from_json(self.document) if self.document else {}
        return told

    def last_told(self) -> State | None:
        """The lead within the assignment as last told."""
        whole = self.assignment().get("lead")
        return None if whole is None else State(LeadOf.model_validate(whole), whole)


@dataclass(slots=True)
class World:
    """Mutable holder of frozen rows, with what changed."""

    leads: dict[str, Lead] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    changed_leads: set[str] = field(default_factory=set)
    changed_reps: set[str] = field(default_factory=set)

    def put(self, lead: Lead) -> Lead:
        """Keep this row for the events that follow."""
        self.leads[lead.lead_id] = lead
        self.changed_leads.add(lead.lead_id)
        return lead

    def hand_over(self, turn: Turn) -> Standing:
        """Count the chosen rep's new lead and move the passes; returns its standing before."""
        winner, before = turn.rep.id, self.standings[turn.rep.id]
        for rep_id, moved in turn.passes.items():
            _, open_leads, number, passes = self.standings[rep_id]
            one = 1 if rep_id == winner else 0
            self._put_standing(Standing(rep_id, open_leads + one, number + one, {**passes, turn.pool: moved}))
        return before

    def release(self, lead: Lead) -> None:
        """One open lead less for the rep that holds this one, if any."""
        if lead.holder:
            standing = self.standings[lead.holder.rep_id]
            self._put_standing(standing._replace(open_leads=standing.open_leads - 1))

    def changes(self) -> tuple[Sequence[Lead], Sequence[Standing]]:
        """Changed rows, keys ascending."""
        leads = [self.leads[key] for key in sorted(self.changed_leads)]
        return leads, [self.standings[key] for key in sorted(self.changed_reps)]

    def _put_standing(self, standing: Standing) -> None:
        self.standings[standing.rep_id] = standing
        self.changed_reps.add(standing.rep_id)
