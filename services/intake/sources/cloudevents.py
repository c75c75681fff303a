"""CloudEvents 1.0 over HTTP: binary, structured and batched, told apart by the prefix of the content type.

An event whose type the source names in `lead_events` is a lead, all of them where it names none; the others are
activities. The key is the event's source and id. The data are read by the source's map, like those of any source.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from services.intake.answers import Problem, refusal
from services.intake.arrival import Refused, ambiguous, refused
from services.intake.body import ITEM_TOO_LARGE, MOST_ITEM_BYTES, MOST_ITEMS, read_content
from services.intake.fields import canonical
from services.intake.parse import Ambiguous, Unparsed, item_text, parse_item, parse_json
from services.intake.sources.mapping import by_map, key_of
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import is_scalar, text

_PREFIX, _BATCH = "application/cloudevents", "application/cloudevents-batch"
_REQUIRED = ("id", "source", "type", "specversion")
_NO_EVENT = frozenset(("missing_attribute", "not_an_event"))
_OF_ONE_TRY = frozenset(("traceparent", "tracestate"))  # another at each try, and the body must stay the same
_ABOUT_PERSON = frozenset(("email", "phone", "occurred_at"))
_STRANGERS = ("anonymous_id", "anonymousId", "user_id", "userId")


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """The events in a delivery. One without a required attribute is a 400; in a batch it is named, the others count."""
    kind = delivery.headers.get("content-type", "").lower()
    if kind.startswith(_BATCH):
        return _batch(delivery.body, source)
    if len(delivery.body) > MOST_ITEM_BYTES:
        return ITEM_TOO_LARGE
    item = _structured(delivery.body, source) if kind.startswith(_PREFIX) else _binary(delivery, source)
    if not isinstance(item, Refused):
        return item if isinstance(item, Problem) else Unpacked((item,))
    return replace(refusal(item), status=400 if item.faults[0].code in _NO_EVENT else 422)


def read(attributes: Mapping[str, Any], data: Any, raw: str, source: Source) -> Item | Refused:
    """One event as what its type makes of it; `attributes` has at least id, source and type."""
    if isinstance(data, Ambiguous):
        return ambiguous(data)
    if not isinstance(data, dict):
        return refused("data", "not_an_object", "the data must be an object with named fields")
    own = key_of(data, source)
    key = own or f"{attributes['source']} {attributes['id']}"
    fields = {"occurred_at": text(attributes.get("time")), **by_map(data, source)}
    if not source.lead_events or attributes["type"] in source.lead_events:
        if not data:
            return refused("data", "empty", "the event holds no data; a lead has at least one field")
        return Item("lead", fields, raw, key)
    return Item("activity", _activity(attributes, fields), raw, key, None if own else "")


def _activity(attributes: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an activity's reader gets: the type is what was done; its subject is a stranger where nobody is named."""
    scalars = {name: value for name, value in fields.items() if is_scalar(value)}
    properties = {name: value for name, value in scalars.items() if canonical(name) not in _ABOUT_PERSON}
    stranger = next((scalars[name] for name in _STRANGERS if scalars.get(name)), attributes.get("subject"))
    told = {"activity": attributes["type"], "subject": attributes.get("subject"), "anonymous_id": stranger}
    return {**scalars, **told, "properties": properties}


def _structured(body: bytes, source: Source) -> Item | Refused | Problem:
    envelope = parse_item(body)
    if isinstance(envelope, Unparsed):
        return Problem(400, envelope.code, envelope.message)
    return _event(envelope, body.decode(), source)


def _batch(body: bytes, source: Source) -> Unpacked | Problem:
    listed = parse_json(body)
    if isinstance(listed, Unparsed):
        return Problem(400, listed.code, listed.message)
    if not isinstance(listed, list):
        return Problem(400, "not_a_batch", "a batch of CloudEvents is a JSON array of events")
    if len(listed) > MOST_ITEMS:
        return Problem(413, "too_many", f"a batch has at most {MOST_ITEMS} events, this one has {len(listed)}")
    return Unpacked(tuple(_event(one, item_text(one), source) for one in listed), batch=True)


def _event(envelope: Any, raw: str, source: Source) -> Item | Refused:
    if isinstance(envelope, Ambiguous):
        return ambiguous(envelope)
    if not isinstance(envelope, dict):
        return refused("", "not_an_event", "an event must be a JSON object with the attributes of a CloudEvent")
    item = _lacking(envelope) or read(envelope, _data(envelope), raw, source)
    if isinstance(item, Refused) or item.compared is not None or _OF_ONE_TRY.isdisjoint(envelope):
        return item
    same = {name: value for name, value in envelope.items() if name not in _OF_ONE_TRY}
    return replace(item, compared=item_text(same))


def _binary(delivery: Delivery, source: Source) -> Item | Refused | Problem:
    """Attributes in headers `ce-...`, data in the body; kept together as the structured form would write them."""
    given = {name[3:]: value for name, value in delivery.headers.items() if name.startswith("ce-")}
    attributes = {name: _decoded(given[name]) for name in sorted(given.keys() - _OF_ONE_TRY)}
    if (lacking := _lacking(attributes)) is not None:
        return lacking
    found = read_content(delivery.headers.get("content-type", ""), delivery.body) if delivery.body else ({}, "")
    if isinstance(found, Problem):
        return found
    data = found[0]
    raw = "" if isinstance(data, Ambiguous) else item_text({**attributes, "data": data})
    return read(attributes, data, raw, source)


def _decoded(header: str) -> str:
    """A header's percent escapes as the UTF-8 that they stand for."""
    return unquote_to_bytes(header.encode("latin-1")).decode("utf-8", "replace")


def _lacking(attributes: Mapping[str, Any]) -> Refused | None:
    missing = [name for name in _REQUIRED if not is_scalar(attributes.get(name)) or not text(attributes.get(name))]
    if not missing:
        return None
    said = f"{', '.join(missing)} missing: a CloudEvent has id, source, type and specversion"
    return refused(missing[0], "missing_attribute", said)


def _data(envelope: Mapping[str, Any]) -> Any:
    """The data as what it holds: decoded where it came as base64, opened where it is JSON in a text."""
    data = envelope.get("data")
    if "data_base64" in envelope:
        try:
            data = base64.b64decode(str(envelope["data_base64"]), validate=True).decode()
        except (binascii.Error, ValueError):
            return None
    if isinstance(data, str):
        return parse_item(data.encode())
    return {} if data is None else data
