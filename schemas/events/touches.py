"""Touches: what nurture sent, and to whom it stopped sending."""

from __future__ import annotations

from typing import ClassVar

from schemas.events.event import Event


class Touch(Event):
    """One step of a sequence: sent, failed, or skipped with its reason.

    `uncertain` marks a mail that may have gone out twice: its first sender died between the server's answer and our
    record. Both carry the same `message_id`.
    """

    types: ClassVar[tuple[str, ...]] = ("touch.sent", "touch.failed", "touch.skipped")

    lead_id: str
    person_id: str
    enrolment_id: str
    sequence: str
    step: int
    channel: str = "email"
    message_id: str | None = None
    reason: str | None = None
    uncertain: bool = False
    rules_version: str


class Enrolment(Event):
    """A lead entered a sequence, or left it with its reason."""

    types: ClassVar[tuple[str, ...]] = ("enrolment.started", "enrolment.ended")

    lead_id: str
    person_id: str
    enrolment_id: str
    sequence: str
    reason: str | None = None
    rules_version: str
