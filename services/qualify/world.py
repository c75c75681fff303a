"""The rows that one batch needs, as its events leave them, and which of them changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from schemas.events.leads import LeadQualified, LeadState
from schemas.events.people import PersonChanged
from services.qualify.engagement import Engagement
from services.qualify.recognise import Claim


@dataclass(frozen=True)
class Person:
    """A person: the record as last published, and how many submissions came since the beginning."""

    person_id: str
    version: int
    event_id: str
    event_type: str
    document: str
    submissions: int
    told: PersonChanged | None = None  # the document, where this batch wrote it

    @cached_property
    def record(self) -> PersonChanged:
        """The golden record."""
        return self.told or PersonChanged.model_validate_json(self.document)


@dataclass(frozen=True)
class Lead:
    """A lead: its state as last published, and the engagement behind it."""

    lead_id: str
    person_id: str
    product_line: str
    status: str
    version: int
    document: str
    engagement: Engagement
    told: LeadState | None = None  # the document's state, where this batch wrote it

    @cached_property
    def state(self) -> LeadState:
        """The whole state."""
        return self.told or LeadQualified.model_validate_json(self.document).lead


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity with what it was worth and for whom, so that it can be retracted."""

    activity_id: str
    person_id: str
    lead_id: str | None
    points: float
    at: datetime
    retracted: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """How a submission ended: opened, attached, interest, disqualified or test."""

    submission_id: str
    lead_id: str
    person_id: str | None
    end_state: str


@dataclass(slots=True)
class World:
    """Everything that the batch's decisions read and write."""

    claims: dict[str, Claim] = field(default_factory=dict)
    owners: dict[str, str | None] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    open_leads: dict[str, dict[str, str]] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    changed_owners: set[str] = field(default_factory=set)
    changed_persons: set[str] = field(default_factory=set)
    changed_leads: set[str] = field(default_factory=set)
    changed_activities: set[str] = field(default_factory=set)

    def owner(self, key: str) -> str | None:
        """The person known by this address hash; a row that names a person who never came to be names nobody."""
        person_id = self.owners.get(key)
        return person_id if person_id in self.persons else None

    def own(self, key: str, person_id: str) -> None:
        """From now on this person is known by this address hash."""
        if self.owners.get(key) != person_id:
            self.owners[key] = person_id
            self.changed_owners.add(key)

    def open_lead(self, person_id: str, product_line: str) -> Lead | None:
        """The person's open lead of this product line."""
        lead_id = self.open_leads.get(person_id, {}).get(product_line)
        return self.leads[lead_id] if lead_id else None

    def newest_open_lead(self, person_id: str) -> Lead | None:
        """The open lead that what the person does now is about: the one opened last."""
        found = [self.leads[lead_id] for lead_id in self.open_leads.get(person_id, {}).values()]
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=lambda lead: (lead.state.opened_at, lead.lead_id))

    def keep_person(self, person: Person) -> None:
        """Take in a person's new row."""
        self.persons[person.person_id] = person
        self.changed_persons.add(person.person_id)

    def keep_lead(self, lead: Lead) -> None:
        """Take in a lead's new row."""
        self.know_lead(lead)
        self.changed_leads.add(lead.lead_id)

    def know_lead(self, lead: Lead) -> None:
        """Take in a lead's row as it was read."""
        self.leads[lead.lead_id] = lead
        lines = self.open_leads.setdefault(lead.person_id, {})
        if lead.status == "open":
            lines[lead.product_line] = lead.lead_id
        elif lines.get(lead.product_line) == lead.lead_id:
            del lines[lead.product_line]

    def keep_activity(self, activity: Activity) -> None:
        """Take in an activity's new row."""
        self.activities[activity.activity_id] = activity
        self.changed_activities.add(activity.activity_id)
