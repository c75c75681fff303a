"""One event of a tracking SDK, as the fields of a lead or as an activity. Pure, and lean: 15,000 a second pass here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from services.intake.fields import canonical
from services.intake.sources.paths import plain
from services.intake.values import is_scalar, read_moment, text

Fields = dict[str, Any]
_NAMES = {"page": "page_view", "screen": "screen_view"}
_WITH_PROPERTIES = frozenset(("track", "page", "screen"))
_ADDRESSES = frozenset(("email", "phone", "country"))
_NESTED = frozenset(("address", "company"))
_PAGE = ("url", "path", "referrer", "title")
_IDS = {"user_id": "userId", "anonymous_id": "anonymousId", "previous_id": "previousId", "group_id": "groupId"}
_NONE: Mapping[str, Any] = {}


def lead(event: Mapping[str, Any]) -> Fields:
    """What a lead's reader gets, from properties, traits, campaign and page; where several name a field, the first."""
    context, fields = _part(event, "context"), Fields()
    for part in (_part(event, "properties"), _part(event, "traits"), _part(context, "traits")):
        for name, value in part.items():
            _put(fields, name, value)
    fields |= {"email": text(event.get("userId"))} if "email" not in fields and _is_mail(event) else {}
    page = _part(context, "page")
    more = {**_ids(event), "event": event.get("event"), "locale": context.get("locale"),
            "landing_page": page.get("url"), "referrer": page.get("referrer"), **dict(_utm(context))}  # fmt: skip
    for name, value in more.items():
        _put(fields, name, value)
    return fields


def activity(call: str, event: Mapping[str, Any]) -> Fields:
    """What an activity's reader gets. E-mail and phone say whose it is and stand nowhere else in it."""
    context = _part(event, "context")
    told, traits = _part(event, "properties"), (_part(event, "traits"), _part(context, "traits"))
    did, properties = Fields(), _ids(event)
    for part in (told, *traits):
        kept = call not in _WITH_PROPERTIES or part is told
        for name, value in part.items():
            ours = canonical(name)
            if ours in _ADDRESSES:
                did.setdefault(ours, value)
            if kept and ours != "email" and ours != "phone":
                properties.setdefault(name, value)
    page = _part(context, "page")
    for name, value in (*((n, page[n]) for n in _PAGE if n in page), *_utm(context)):
        properties.setdefault(name, value)
    if _is_mail(event):
        did.setdefault("email", event["userId"])
    did["anonymous_id"] = event.get("userId") or event.get("anonymousId") or event.get("previousId")
    did["activity"] = event.get("event") if call == "track" else _NAMES.get(call, call)
    did["subject"] = event.get("groupId") if call == "group" else event.get("name")
    did["properties"] = properties
    return did


def occurred_at(event: Mapping[str, Any], sent_at: object, received_at: datetime) -> str:
    """When it happened by our clock, never later than it came: received - (sentAt - timestamp), ISO 8601."""
    told = read_moment(text(event.get("timestamp") or event.get("originalTimestamp")))
    if told is None:
        return received_at.isoformat()
    sent = read_moment(text(event.get("sentAt") or sent_at))
    try:
        return min(received_at, told if sent is None else received_at - (sent - told)).isoformat()
    except OverflowError:
        return received_at.isoformat()


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = of.get(name)
    return part if isinstance(part, dict) else _NONE


def _put(fields: Fields, name: str, value: Any) -> None:
    """Add a field that is not there yet; one that we know by name never as a list or object, which would be refused."""
    if value is None or name in fields:
        return
    if not isinstance(value, dict):
        fields[name] = plain(value) if isinstance(value, list) and canonical(name) else value
        return
    if name in _NESTED:
        fields[name] = {inner: one for inner, one in value.items() if is_scalar(one)}
    for inner, one in value.items():
        if name not in _NESTED or not is_scalar(one):
            _put(fields, f"{name}.{inner}", one)


def _utm(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in _part(context, "campaign").items():
        yield ("utm_campaign" if name == "name" else f"utm_{name}"), value


def _ids(event: Mapping[str, Any]) -> Fields:
    """Who the sender says it was; an id that is an e-mail is not repeated."""
    found = ((ours, text(event.get(theirs))) for ours, theirs in _IDS.items() if event.get(theirs) is not None)
    return {ours: value for ours, value in found if value and "@" not in value}


def _is_mail(event: Mapping[str, Any]) -> bool:
    """Many name their users by e-mail."""
    user = event.get("userId")
    return isinstance(user, str) and "@" in user
