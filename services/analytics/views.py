"""What analytics reads of each event: the fields it counts by. The event itself is kept as it came.

Parsing whole events costs three times as much, and analytics reads every topic. Field names and meanings are those of
the contract in `schemas/events/`, of which each view is a part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel

from schemas.events.assignments import Assignment, Owner
from schemas.events.event import Part
from schemas.events.leads import LeadQualified, LeadReceived, SubmissionClosed
from schemas.events.people import PersonChanged
from schemas.topics import Topic
from schemas.views import Told


class Kept(Told):
    """What the facts need of any event."""

    version: int = 0


class Received(Kept):
    """A submission."""

    types: ClassVar = LeadReceived.types
    source: str
    body_hash: str


class OriginOf(Part):
    """Where a lead came from."""

    source: str
    origin_type: str = "net"
    campaign: str | None = None


class LeadOf(Part):
    """Qualify's state of a lead."""

    lead_id: str
    product_line: str
    opened_at: AwareDatetime
    origin: OriginOf
    warmth: str = "cold"
    is_test: bool = False


class Qualified(Kept):
    """A lead opened, attached to or scored anew."""

    types: ClassVar = LeadQualified.types
    lead: LeadOf
    submission_id: str | None = None


class Closed(Kept):
    """A submission that opened no lead."""

    types: ClassVar = SubmissionClosed.types
    lead_id: str
    submission_id: str
    is_test: bool = False


class Assigned(Kept):
    """Router's state of a lead."""

    types: ClassVar = Assignment.types
    lead_id: str
    state: str
    owner: Owner | None = None
    assigned_at: AwareDatetime | None = None


class Person(Kept):
    """A golden record, of which nothing is counted."""

    types: ClassVar = PersonChanged.types


VIEWS: dict[type[BaseModel], type[Kept]] = {
    LeadReceived: Received, LeadQualified: Qualified, SubmissionClosed: Closed, Assignment: Assigned,
    PersonChanged: Person,
}  # fmt: skip


def seen(topic: Topic) -> Topic:
    """The topic as analytics reads it: with its own views in place of the contract's models, where it has them."""
    return replace(topic, models=tuple(VIEWS.get(model, model) for model in topic.models))
