"""Leads: what arrives, and what qualify makes of it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.events.event import Event, Part, Reason

Quality = str  # ok | missing | invalid | role | implausible; open by declaration


class Origin(Part):
    """Where an enquiry came from. `source` is the configured source's name and never empty."""

    source: str
    origin_type: str = "net"
    """seed (referral), net (marketing) or spear (own prospecting); treat any other as net."""
    channel: str | None = None
    campaign: str | None = None
    medium: str | None = None
    content: str | None = None
    term: str | None = None
    referrer: str | None = None
    landing_page: str | None = None
    list_name: str | None = None
    referred_by: str | None = None
    click_id: str | None = None


class Contact(Part):
    """How to reach a person. `email` and `phone` are normalised (lower case; E.164), the `_raw` forms are as sent."""

    email: str | None = None
    email_raw: str | None = None
    phone: str | None = None
    phone_raw: str | None = None
    full_name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    company: str | None = None
    job_title: str | None = None
    street: str | None = None
    city: str | None = None
    region: str | None = None
    postcode: str | None = None
    country: str | None = None
    language: str | None = None


class ConsentText(Part):
    """Consent given with a submission: for which channel and purpose, and the words that were shown."""

    channel: str = "email"
    purpose: str = "marketing"
    granted: bool = True
    text: str | None = None


class LeadReceived(Event):
    """One submission, normalised once. Its event id is the submission's id, taken from the source's own key."""

    types: ClassVar[tuple[str, ...]] = ("lead.received",)

    source: str
    source_key: str | None = None
    identity: str
    """HMAC over the normalised e-mail, else phone, else the submission id; also the record's key."""
    origin: Origin
    contact: Contact
    email_quality: Quality = "missing"
    phone_quality: Quality = "missing"
    name_quality: Quality | None = None
    """ok, missing or implausible (no letters, keyboard rows, "test"); None: not looked at."""
    cost: float | None = None
    """What this submission cost us, in `currency`: its source's price per lead, or its share of a bought list."""
    currency: str | None = None
    product: str | None = None
    message: str | None = None
    budget: float | None = None
    urgency: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)
    consents: tuple[ConsentText, ...] = ()
    is_test: bool = False
    body_hash: str
    """SHA-256 of the body as sent: the same id with another body is told apart."""
    raw: str
    """The body as sent, text."""


class LeadNotified(Event):
    """A source told the id of a lead, and nothing else: intake reads the lead from the source's API (hydrate).

    The same notice has the same event id whenever it comes; `correlation_id` is the submission that it becomes.
    """

    types: ClassVar[tuple[str, ...]] = ("lead.notified",)

    source: str
    notice_id: str
    """The lead's id at the source, as text."""
    action: str = "created"
    """created or deleted (the source asks that it be forgotten); treat any other as created."""
    details: dict[str, str] = Field(default_factory=dict)
    """What else the notice said: form, page, advertisement."""


class Repeat(Part):
    """A further enquiry of a person whose lead was open: it attached to that lead."""

    submission_id: str
    occurred_at: AwareDatetime
    origin: Origin


class LeadState(Part):
    """A lead as qualify knows it: whole, so that no reader needs a second look-up."""

    lead_id: str
    person_id: str
    product_line: str
    status: str = "open"
    """open, won, lost or returned; treat any other as not open."""
    opened_at: AwareDatetime
    origin: Origin
    contact: Contact
    warmth: str = "cold"
    """cold, warm or hot: bands over the score, by the active rules; treat any other as cold."""
    score: float = 0.0
    fit: float = 0.0
    engagement: float = 0.0
    priority: int = 0
    submissions: int = 1
    repeat: Repeat | None = None
    """The enquiry that attached last; None while there is only the one that opened the lead."""
    is_test: bool = False
    product: str | None = None
    message: str | None = None
    budget: float | None = None
    urgency: str | None = None
    answers: dict[str, str] = Field(default_factory=dict)


class LeadQualified(Event):
    """State of a lead after qualify's decision; the type says what changed, `reasons` say why."""

    types: ClassVar[tuple[str, ...]] = ("lead.qualified", "lead.attached", "lead.rescored")

    lead: LeadState
    submission_id: str | None = None
    reasons: tuple[Reason, ...] = ()
    rules_version: str


class SubmissionClosed(Event):
    """A submission that opened no lead: an interest without a person, or one set aside with its reason."""

    types: ClassVar[tuple[str, ...]] = ("interest.noted", "lead.disqualified")

    lead_id: str
    submission_id: str
    origin: Origin
    contact: Contact
    is_test: bool = False
    message: str | None = None
    reasons: tuple[Reason, ...] = ()
    rules_version: str
