"""What nurture reads of qualify's events: enough to choose a sequence and to write a mail.

Field names and meanings are those of the contract in `schemas/events/`, of which each view is a part; parsing whole
events costs three times as much.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from schemas.events.event import Part
from schemas.events.leads import LeadQualified
from schemas.topics import LEADS_QUALIFIED
from schemas.views import Closed, Told


class ContactOf(Part):
    """How to write to a person."""

    email: str | None = None
    given_name: str | None = None
    company: str | None = None
    country: str | None = None
    language: str | None = None


class OriginOf(Part):
    """Where a lead came from."""

    origin_type: str = "net"


class LeadOf(Part):
    """Qualify's state of a lead."""

    lead_id: str
    person_id: str
    product_line: str
    origin: OriginOf
    contact: ContactOf
    product: str | None = None
    status: str = "open"
    warmth: str = "cold"
    score: float = 0.0
    is_test: bool = False


class Qualified(Told):
    """A lead opened, attached to or scored anew."""

    types: ClassVar = LeadQualified.types
    version: int = 0
    lead: LeadOf


QUALIFIED = replace(LEADS_QUALIFIED, models=(Qualified, Closed))
"""The topic as nurture reads it: with these views in place of the contract's models."""
