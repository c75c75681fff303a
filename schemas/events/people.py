"""People: the golden record, and what was asked about consent and erasure."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.events.event import Event, Part
from schemas.events.leads import Contact


class Provenance(Part):
    """Which submission gave a field its present value, and when."""

    submission_id: str
    source: str
    at: AwareDatetime


class PersonChanged(Event):
    """The whole golden record of one person. Keyed by person id on a compacted topic."""

    types: ClassVar[tuple[str, ...]] = ("person.changed",)

    person_id: str
    identities: tuple[str, ...] = ()
    contact: Contact
    provenance: dict[str, Provenance] = Field(default_factory=dict)
    first_seen_at: AwareDatetime
    submissions: int = 1
    customer: bool = False
    rules_version: str | None = None


class ConsentReceived(Event):
    """A consent given or withdrawn, or an address that must not be written to; not yet judged."""

    types: ClassVar[tuple[str, ...]] = ("consent.given", "consent.withdrawn", "suppression.added")

    address: str
    """Address hash, never the address."""
    channel: str = "email"
    purpose: str = "marketing"
    source: str
    reason: str | None = None
    text: str | None = None
    proof: str | None = None


class ConsentChanged(Event):
    """State of one consent: address hash, channel and purpose, with its proof. Compacted."""

    types: ClassVar[tuple[str, ...]] = ("consent.changed",)

    address: str
    channel: str
    purpose: str
    state: str
    """given, withdrawn or suppressed; treat any other as withdrawn."""
    decided_at: AwareDatetime
    source: str
    reason: str | None = None
    proof: str | None = None


class ErasureRequested(Event):
    """Somebody asked to be forgotten; known by address hash only."""

    types: ClassVar[tuple[str, ...]] = ("erasure.requested",)

    address: str
    source: str


class ErasureResolved(Event):
    """Whose data an erasure request means: the person, all leads and all address hashes."""

    types: ClassVar[tuple[str, ...]] = ("erasure.resolved",)

    request_id: str
    person_id: str
    lead_ids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class ErasureDone(Event):
    """One service has erased; the receipt names the day by which its last copy is gone."""

    types: ClassVar[tuple[str, ...]] = ("erasure.done",)

    request_id: str
    person_id: str
    service: str
    gone_by: AwareDatetime
