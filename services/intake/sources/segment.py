"""Segment and RudderStack: what their SDKs call (`track`, `identify`, ...), one event or a batch, gzipped or not.

A `track` whose event the source names in `lead_events` is a lead, and an `identify` with an e-mail where the word
`identify` stands there. All else is an activity: of the person whose address is in properties or traits, else of the
stranger behind `userId`, else `anonymousId`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from services.intake.answers import Problem, batch_content, json_response, problem_response, refusal
from services.intake.arrival import Accepted, Refused, ambiguous, refused
from services.intake.body import ITEM_TOO_LARGE, MOST_ITEM_BYTES
from services.intake.fields import canonical
from services.intake.parse import Ambiguous, Unparsed, item_text, parse_json
from services.intake.sources import tracking
from services.intake.sources.mapping import by_map, key_of
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import key_text

CALLS = ("identify", "track", "page", "screen", "group", "alias")
MOST_EVENTS = 5000
_ABOUT_SENDING = frozenset(("sentAt", "writeKey", "_metadata"))  # secret, or others when the event is sent again


@dataclass(frozen=True, slots=True)
class _Batch:
    """What its events have in common. `call` is what each of them is, or None where each says so itself."""

    call: str | None
    sent_at: object
    received_at: datetime
    source: Source
    lead_events: frozenset[str]


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """The events in a delivery; the last step of its path says what the body is: `v1/batch`, `v1/track`."""
    body = delivery.body
    content = parse_json(body, "batch")
    if isinstance(content, Unparsed):
        return Problem(400, content.code, content.message)
    call, lead_events = _call(delivery), frozenset(map(str.casefold, source.lead_events))
    outer = content if isinstance(content, dict) else {}
    batch = _Batch(call, outer.get("sentAt"), delivery.received_at, source, lead_events)
    listed = outer.get("batch", content) if call is None else content
    if not isinstance(listed, list):
        if len(body) > MOST_ITEM_BYTES:
            return ITEM_TOO_LARGE
        item = _item(listed, batch)
        return refusal(item) if isinstance(item, Refused) else Unpacked((item,))
    if len(listed) > MOST_EVENTS:
        return Problem(413, "too_many", f"a batch has at most {MOST_EVENTS} events, this one has {len(listed)}")
    return Unpacked(tuple(_item(event, batch) for event in listed), batch=True)


def answer(delivery: Delivery, _source: Source, results: Sequence[Accepted | Refused]) -> Response:
    """Exactly 200: to SDKs any other code is a failure. A batch is told what became of each of its events."""
    only = results[0] if len(results) == 1 and _call(delivery) else None
    if isinstance(only, Refused):
        return problem_response(refusal(only))
    return json_response(200, {"success": True, **batch_content(results)})


def _call(delivery: Delivery) -> str | None:
    last = delivery.path.rpartition("/")[2]
    return last if last in CALLS else None


def _item(event: Any, batch: _Batch) -> Item | Refused:
    if isinstance(event, Ambiguous):
        return ambiguous(event)
    if not isinstance(event, dict):
        return refused("", "not_an_object", "an event must be an object with named fields", item_text(event))
    raw = item_text({name: value for name, value in event.items() if name not in _ABOUT_SENDING})
    call = batch.call or event.get("type")
    if call not in CALLS:
        return refused("type", "unknown_value", f"type must be one of {', '.join(CALLS)}", raw)
    key, at = key_text(event.get("messageId")), tracking.occurred_at(event, batch.sent_at, batch.received_at)
    fields = _lead(call, event, batch)
    if fields is None:
        return Item("activity", {**tracking.activity(call, event), "occurred_at": at}, raw, key, "" if key else None)
    own = key_of(fields, batch.source)
    return Item("lead", by_map({**fields, "occurred_at": at}, batch.source), raw, own or key)


def _lead(call: str, event: dict[str, Any], batch: _Batch) -> tracking.Fields | None:
    """The lead's fields, or None for an activity."""
    if call == "track":
        named = event.get("event")
        is_lead = isinstance(named, str) and named.casefold() in batch.lead_events
        return tracking.lead(event) if is_lead else None
    if call != "identify" or "identify" not in batch.lead_events:
        return None
    fields = tracking.lead(event)
    return fields if any(value and canonical(name) == "email" for name, value in fields.items()) else None
