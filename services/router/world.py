"""The working copy of what one batch needs: leads, and the reps' standings where somebody is to be chosen or freed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas.events.assignments import Assignment
from services.router.choice import Standing, Turn


class Holder(NamedTuple):
    """A rep that holds or held a lead, and the destination where it did."""

    rep_id: str
    destination: str


class Lead(NamedTuple):
    """One lead's row. `version` 0: nothing told yet; `seen_version` 0: qualify has not told us of it.

    `state` is unknown, assigned, parked or closed. `respond_by` is None once the holder has answered, `retry_at` where
    a parked lead waits for a person. `document` is the state as last told on leads.assigned.
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
    told: Assignment | None = None

    @property
    def holder(self) -> Holder | None:
        """Who holds it now."""
        return self.holders[-1] if self.state == "assigned" else None

    @property
    def tried(self) -> tuple[str, ...]:
        """Reps that hold or held it."""
        return tuple(holder.rep_id for holder in self.holders)

    @property
    def destinations(self) -> frozenset[str]:
        """Destinations that have or had it."""
        return frozenset(holder.destination for holder in self.holders)

    def last_told(self) -> Assignment | None:
        """The state as last told, read once."""
        if self.told or self.document is None:
            return self.told
        return Assignment.model_validate_json(self.document)


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
        for rep_id, moved in turn.passes.items():
            standing = self.standings[rep_id]
            self._put_standing(standing._replace(passes={**standing.passes, turn.pool: moved}))
        before = self.standings[turn.rep.id]
        self._put_standing(before._replace(open_leads=before.open_leads + 1, number=before.number + 1))
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
