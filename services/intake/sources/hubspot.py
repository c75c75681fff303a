"""HubSpot's CRM webhooks: arrays of what happened to contacts, told by their id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.intake.answers import Problem
from services.intake.arrival import Refused
from services.intake.parse import item_text
from services.intake.sources.notifications import all_answered, no_object, notifications, scalars
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source

_LEAD_EVENTS = ("contact.creation",)
_DELETION = "contact.privacyDeletion"
_CONTACT = "0-1"  # HubSpot's type id of contacts
_ABOUT = {
    "portalId": "portal_id", "appId": "app_id", "eventId": "event_id", "subscriptionId": "subscription_id",
    "subscriptionType": "subscription_type", "propertyName": "property_name", "changeSource": "change_source",
    "occurredAt": "occurred_at",
}  # fmt: skip


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """A notice for each event that the source's `lead_events` name and for each privacy deletion; else nothing.

    Without `lead_events` only contact.creation counts. The value of a property is left out: it may be an address.
    """
    read = notifications(delivery.body)
    if isinstance(read, Problem):
        return read
    counted = frozenset(source.lead_events or _LEAD_EVENTS)
    return all_answered((item for one in read for item in _event(one, counted)), source)


def _event(one: Any, counted: frozenset[str]) -> Iterator[Item | Refused]:
    if not isinstance(one, dict):
        yield no_object(one, "")
        return
    kind = _kind(one)
    if kind == _DELETION or kind in counted:
        own = {"notice_id": one.get("objectId"), "action": "deleted" if kind == _DELETION else "created"}
        key = f"{one.get('eventId')}|{one.get('subscriptionId')}"
        yield Item("notice", scalars(one, _ABOUT) | own, item_text(one), key)


def _kind(one: dict[str, Any]) -> str:
    """The type of an event; `object.creation` of a contact, as subscriptions of the newer kind say, is its creation."""
    kind = str(one.get("subscriptionType"))
    if one.get("objectTypeId") == _CONTACT and kind.startswith("object."):
        return "contact." + kind.removeprefix("object.")
    return kind
