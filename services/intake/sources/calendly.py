"""Calendly: who books a meeting is a lead, once; moved, cancelled and missed meetings are activities of that person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.events.event import derived_id
from services.intake.answers import Problem
from services.intake.arrival import Refused, refused
from services.intake.body import read_content
from services.intake.parse import item_text
from services.intake.sources.mapping import mapped
from services.intake.sources.notifications import all_answered, no_object, scalars
from services.intake.sources.paths import at
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import is_scalar, text

_PERSON = {
    "email": "email", "name": "name", "first_name": "given_name", "last_name": "family_name",
    "text_reminder_number": "phone", "timezone": "timezone", "created_at": "occurred_at",
}  # fmt: skip
_MOST_QUESTIONS = 50


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """One item, or none for events of other kinds.

    A moved meeting is told twice, in either order: `meeting_moved` away from its old time (the old invitee is
    cancelled) and `meeting_rescheduled` to its new one (an invitee that names the old one). Neither is a new lead.
    """
    read = read_content("", delivery.body)
    if isinstance(read, Problem):
        return read
    content, raw = read
    return all_answered(_items(content, raw, source), source)


def _items(content: Any, raw: str, source: Source) -> Iterator[Item | Refused]:
    invitee = content.get("payload") if isinstance(content, dict) else None
    if not isinstance(content, dict):
        yield no_object(content, "")
    elif not isinstance(invitee, dict):
        yield no_object(invitee, "payload")
    elif not isinstance(invitee.get("uri"), str):
        if content.get("event") in _ACTIVITIES or content.get("event") == _CREATED:
            yield refused("payload.uri", "required", "an invitee must have its uri")
    elif content.get("event") == _CREATED and not invitee.get("old_invitee"):
        fields = mapped(_lead(invitee), source)
        yield Item("lead", fields, raw, invitee["uri"], compared=item_text(invitee))
    elif (what := _what(content, invitee)) is not None:
        yield _activity(what, content, invitee, raw, source)


_CREATED = "invitee.created"
_ACTIVITIES = {
    _CREATED: "meeting_rescheduled",
    "invitee.canceled": "meeting_cancelled",
    "invitee_no_show.created": "meeting_missed",
    "invitee_no_show.deleted": "meeting_missed",
}


def _what(content: dict[str, Any], invitee: dict[str, Any]) -> str | None:
    if content.get("event") == "invitee.canceled" and invitee.get("rescheduled") is True:
        return "meeting_moved"
    return _ACTIVITIES.get(str(content.get("event")))


def _activity(what: str, content: dict[str, Any], invitee: dict[str, Any], raw: str, source: Source) -> Item:
    key = f"{invitee['uri']}|{what}"
    person = {name: value for name, value in scalars(invitee, _PERSON).items() if name in ("email", "phone")}
    said = {
        "activity": what, "subject": at(invitee, "scheduled_event.name"), "occurred_at": content.get("created_at"),
        "properties": _meeting(invitee) | {"reason": at(invitee, "cancellation.reason")},
    }  # fmt: skip
    if content["event"] == "invitee_no_show.deleted":
        return Item("activity", person | said | {"retracts": derived_id(f"{source.name}|{key}", "activity")},
                    raw, f"{key}|retracted", compared="")  # fmt: skip
    return Item("activity", person | said, raw, key, compared="")


def _lead(invitee: dict[str, Any]) -> dict[str, Any]:
    """The person, the answers under their questions, where the visit came from, and the meeting."""
    tracking = invitee.get("tracking")
    found = scalars(invitee, _PERSON) | _meeting(invitee)
    found |= {n: v for n, v in tracking.items() if v and is_scalar(v)} if isinstance(tracking, dict) else {}
    asked = invitee.get("questions_and_answers")
    for n, one in enumerate(asked[:_MOST_QUESTIONS] if isinstance(asked, list) else (), start=1):
        question = text(at(one, "question"), 100) or f"question {n}"
        found[question if question not in found else f"{question} ({n})"] = at(one, "answer")
    return found


def _meeting(invitee: dict[str, Any]) -> dict[str, Any]:
    event = invitee.get("scheduled_event")
    if not isinstance(event, dict):
        return {}
    return scalars(event, {"name": "event_name", "start_time": "start_time", "end_time": "end_time"})
