"""What a sample body would become at a source: read by the code of intake, sent nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from schemas.events.leads import LeadReceived
from services.intake.answers import Problem
from services.intake.arrival import Accepted, Refused
from services.intake.body import MOST_BYTES
from services.intake.deliver import read_item
from services.intake.inflate import inflate
from services.intake.sources.examples import form_body
from services.intake.sources.presets import presets
from services.intake.sources.protocol import Delivery
from services.intake.sources.protocols import PROTOCOLS
from services.intake.sources.source import Source

_SECRET = "-" * 32  # of a trial: no id of it ever meets one of an installation
_TYPES = {".json": "application/json", ".xml": "application/xml", ".form": "application/x-www-form-urlencoded"}
_PARTS = (
    "contact",
    "origin",
    "product",
    "message",
    "budget",
    "urgency",
    "answers",
    "consents",
    "is_test",
    "source_key",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One item: what kind it is, what is in it, what is odd about it; or why it would be refused."""

    kind: str
    content: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def tried(source: Source, body: bytes, suffix: str, path: str, now: datetime) -> list[Trial]:
    """Each item of the body; a whole body that cannot be read is one refusal."""
    opened = inflate(body, MOST_BYTES, "")
    if isinstance(opened, Problem):
        return [_refusal(opened.code, opened.message)]
    delivery = _delivery(source, opened, _TYPES.get(suffix, ""), path, now)
    unpacked = PROTOCOLS[source.protocol].unpack(delivery, source)
    if isinstance(unpacked, Problem):
        return [_refusal(unpacked.code, unpacked.message)]
    return [_trial(source, read_item(_SECRET, source, delivery, item)) for item in unpacked.items]


def _delivery(source: Source, body: bytes, content_type: str, path: str, now: datetime) -> Delivery:
    """The body as it would come; at a source whose leads stand in its address, as a query string.

    A file `.form` may also hold one field a line, as people write them down.
    """
    if content_type == _TYPES[".form"] and b"&" not in body:
        body = form_body(body.decode("utf-8", "replace"))
    start = body.lstrip()[:1]
    if source.query and start not in (b"{", b"[", b"<"):
        pairs = parse_qsl(body.decode("utf-8", "replace").strip(), keep_blank_values=True)
        return Delivery(path, dict(pairs), {}, b"", now)
    return Delivery(path, {}, {"content-type": content_type}, body, now)


def _trial(source: Source, result: Accepted | Refused) -> Trial:
    if isinstance(result, Refused):
        return _refusal(result.faults[0].code, "; ".join(fault.message for fault in result.faults))
    event = result.events[0]
    told = json.loads(event.value or "{}")
    if event.type != "lead.received":
        return Trial(event.type, {name: value for name, value in told.items() if name not in ("raw", "body_hash")})
    lead = LeadReceived.model_validate(told)
    content = {name: told[name] for name in _PARTS if told.get(name) not in (None, {}, [])}
    quality = {"email": lead.email_quality, "phone": lead.phone_quality}
    return Trial(event.type, {**content, "quality": quality}, tuple(_warnings(source, lead)))


def _refusal(code: str, message: str) -> Trial:
    return Trial("refused", {"code": code, "message": message})


def _warnings(source: Source, lead: LeadReceived) -> Iterator[str]:
    """What somebody who sets a source up would want to know."""
    if not lead.contact.email and not lead.contact.phone:
        yield "neither an e-mail address nor a telephone number was found: nobody could answer this lead"
    for kind, quality in (("email", lead.email_quality), ("phone", lead.phone_quality)):
        if quality in ("invalid", "implausible"):
            yield f"{kind} is {quality}; a national number needs the source's `region`" if kind == "phone" else (
                f"{kind} is {quality}")  # fmt: skip
    if source.id_field and lead.source_key is None:
        yield f"no {source.id_field}: a repeat is known by the same bytes on the same day only"
    for name in _unmet(source, lead):
        yield f"`fields` maps {name}, and the body has no such field"
    if source.preset and not presets()[source.preset].verified:
        yield f"the fields of {presets()[source.preset].title} are not verified: compare with what it really sends"


def _unmet(source: Source, lead: LeadReceived) -> Iterator[str]:
    """Names of the source's own map, not of its preset's, that stand nowhere in the body."""
    usual = presets()[source.preset].source.get("fields", {}) if source.preset else {}
    for name in source.fields:
        if name not in usual and name.rpartition(".")[2].lower() not in lead.raw.lower():
            yield name
