"""Activities: what people did, before and after their identity is known."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.events.event import Event


class ActivityReceived(Event):
    """Something a person did (page view, call, click, meeting), or the retraction of it; identity not yet resolved."""

    types: ClassVar[tuple[str, ...]] = ("activity.received", "activity.retracted")

    source: str
    identity: str
    activity: str
    """page_view, mail_open, mail_click, call, meeting, reply and whatever a source adds."""
    subject: str | None = None
    properties: dict[str, str] = Field(default_factory=dict)
    retracts: str | None = None
    """On `activity.retracted`: event id of the activity that did not happen."""


class ActivityRecorded(Event):
    """An activity with its person, and its lead where one is open."""

    types: ClassVar[tuple[str, ...]] = ("activity.recorded",)

    activity_id: str
    person_id: str
    lead_id: str | None = None
    source: str
    activity: str
    subject: str | None = None
    properties: dict[str, str] = Field(default_factory=dict)
    points: float = 0.0
    rules_version: str | None = None
