"""Mailchimp: subscribers of a list are leads who consented; who leaves it, or cannot be reached, is not written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from starlette.responses import Response

from services.intake.answers import Problem
from services.intake.arrival import Refused
from services.intake.body import read_content
from services.intake.sources.mapping import mapped
from services.intake.sources.notifications import all_answered, no_object
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import key_text, text

_CONSENT = {"channel": "email", "purpose": "marketing", "granted": True}


def handshake(_delivery: Delivery, _source: Source, _secrets: Callable[[str], Sequence[str]]) -> Response:
    """Mailchimp's validator looks whether the address answers, and knows no secret."""
    return Response(b"", 200)


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """One item, or none for types that say nothing of a person (campaign)."""
    read = read_content(delivery.headers.get("content-type", ""), delivery.body)
    if isinstance(read, Problem):
        return read
    content, raw = read
    if not isinstance(content, dict):
        return all_answered((no_object(content, ""),), source)
    return all_answered(_items(content, raw, source), source)


def _items(content: Mapping[str, Any], raw: str, source: Source) -> Iterator[Item | Refused]:
    kind, data = text(content.get("type")), content.get("data")
    if not isinstance(data, dict):
        yield no_object(data, "data")
    elif kind == "subscribe":
        yield Item("lead", _subscriber(content, data, source), raw, _key(content, data, raw))
    elif kind in ("unsubscribe", "cleaned"):
        yield Item("consent", _ended(kind, data), raw, _key(content, data, raw))
    elif kind == "profile":
        yield _activity("profile_updated", data.get("email"), None, content, raw)
    elif kind == "upemail":
        yield _activity("email_changed", data.get("new_email"), data.get("old_email"), content, raw)


def _subscriber(content: Mapping[str, Any], data: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The fields of the list by their tags (EMAIL, FNAME, MMERGE5), then what else is said of the subscriber."""
    merges = data.get("merges")
    fields = {name: value for name, value in data.items() if name != "merges"}
    fields |= merges if isinstance(merges, dict) else {}
    own = {"occurred_at": content.get("fired_at"), "consents": [_CONSENT]}
    return {**mapped(fields, source), **own}


def _ended(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A withdrawal, or a suppression where the address is dead or its owner complained.

    It counts from its arrival on: Mailchimp writes times without a zone, and one read as too early would lose against a
    consent given before it.
    """
    reason = text(data.get("reason")) or "unknown"
    final = kind == "cleaned" or reason == "abuse"
    told = {"type": "suppressed" if final else "withdrawn", "reason": f"mailchimp {kind}: {reason}"}
    return {**told, "email": data.get("email"), "channel": "email", "purpose": "marketing"}


def _activity(what: str, email: Any, former: Any, content: Mapping[str, Any], raw: str) -> Item:
    told = {"activity": what, "email": email, "former_email": former, "occurred_at": content.get("fired_at")}
    return Item("activity", told, raw, f"{what}|{sha256(raw.encode()).hexdigest()}")


def _key(content: Mapping[str, Any], data: Mapping[str, Any], raw: str) -> str:
    """List, member and moment, since a member may come, go and come again; else the body itself."""
    parts = [key_text(one) for one in (data.get("list_id"), data.get("id"), content.get("fired_at"))]
    return "|".join(filter(None, parts)) if all(parts) else sha256(raw.encode()).hexdigest()
