"""What the router reads of qualify's events: the fields that it decides by, and those that a lead must have.

The lead itself goes on as it came: building and writing its sixty fields anew was a quarter of the router's work.
Field names and meanings are those of the contract in `schemas/events/`, of which each view is a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from pydantic import AwareDatetime

from schemas.events.event import Part
from schemas.events.leads import LeadQualified
from schemas.topics import LEADS_QUALIFIED
from schemas.views import Closed, Told


class ContactOf(Part):
    """Where a person is, as far as territories ask."""

    country: str | None = None
    region: str | None = None
    postcode: str | None = None
    phone: str | None = None
    language: str | None = None


class OriginOf(Part):
    """Where a lead came from."""

    source: str
    origin_type: str = "net"
    channel: str | None = None


class LeadOf(Part):
    """Qualify's state of a lead."""

    lead_id: str
    person_id: str
    product_line: str
    opened_at: AwareDatetime
    origin: OriginOf
    contact: ContactOf
    status: str = "open"
    warmth: str = "cold"
    submissions: int = 1
    is_test: bool = False


class Qualified(Told):
    """A lead opened, attached to or scored anew."""

    types: ClassVar = LeadQualified.types
    version: int = 0
    lead: LeadOf


class State(NamedTuple):
    """A lead as qualify told it: the view that is decided by, and the `whole` of it, JSON objects, that goes on."""

    lead: LeadOf
    whole: Mapping[str, Any]


QUALIFIED = replace(LEADS_QUALIFIED, models=(Qualified, Closed))
"""The topic as the router reads it: with these views in place of the contract's models."""
