"""CloudEvents 1.0 on Kafka: written in binary mode, read in binary and structured mode."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.events.event import NAMESPACE, derived_id
from schemas.topics import DAY_MS, Topic

Headers = Sequence[tuple[str, bytes]]

_STRUCTURED = b"application/cloudevents"
_SPEC = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
TOMBSTONE = "tombstone"
_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Unreadable(ValueError):
    """The record is no event of its topic. `reason` is one of a small fixed set; `detail` holds no personal data."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Envelope:
    """One event as read. `data` is None for tombstones and on topics without models; `body` is the data as bytes."""

    id: str
    source: str
    type: str
    data: Any
    body: bytes
    traceparent: str | None = None


def write(event_id: str, event_type: str, source: str, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    """Headers of one event in binary mode; the value is the data itself."""
    headers = [
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
        _SPEC,
        _JSON,
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def read(topic: Topic, key: bytes | None, value: bytes | None, headers: Headers, day: str) -> Envelope:
    """The event in a record. `day` is the UTC day of its timestamp, part of the id where the writer gave none.

    Raises `Unreadable` with reason no_event_id, unknown_type, empty, structured or schema.
    """
    attributes = dict(headers)
    if attributes.get("content-type", b"")[:23].lower() == _STRUCTURED:
        attributes, value = _unfold(value)
    event_type = _text(attributes, "ce_type")
    if value is None:
        return _tombstone(topic, key, attributes, day)
    if not value:
        raise Unreadable("empty", f"0 bytes on {topic.name}; an event has data")
    if topic.foreign and not event_type and topic.models:
        event_type = _type_field(value)
    event_id = _text(attributes, "ce_id")
    if not event_id and not topic.foreign:
        raise Unreadable("no_event_id", f"no ce_id header on {topic.name}")
    return Envelope(
        event_id or derived_id(_content_id(topic, key, value, day), event_type),
        _text(attributes, "ce_source") or topic.name,
        event_type,
        _parse(topic, event_type, value),
        value,
        _trace(attributes),
    )


def inbox_id(topic: Topic, source: str, event_id: str) -> str:
    """Id under which an inbox knows an event: its own where we gave it, else made of who said it and their id."""
    if not topic.foreign and _UUID.fullmatch(event_id):
        return event_id
    return derived_id(topic.name if topic.foreign else source, event_id)


def unreadable_id(topic: Topic, key: bytes | None, value: bytes | None, headers: Headers, day: str) -> str:
    """Id under which an inbox knows a record that is no event: its bytes and its day, but for our repair number."""
    digest = sha256(repr(sorted(h for h in headers if h[0] != "caudal_repair")).encode("utf-8", "backslashreplace"))
    return derived_id(_content_id(topic, key, value, day), digest.hexdigest())


def _parse(topic: Topic, event_type: str, value: bytes) -> BaseModel | None:
    if not topic.models:
        return None
    model = topic.events.get(event_type)
    if model is None:
        raise Unreadable("unknown_type", f"{event_type[:80]!r} is not an event of {topic.name}")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['type']}" for e in error.errors()[:5])
        raise Unreadable("schema", f"{event_type}: {faults}") from None


def _unfold(value: bytes | None) -> tuple[dict[str, bytes], bytes]:
    """Attributes and data of a structured-mode record, as binary mode would carry them."""
    try:
        envelope = json.loads(value or b"")
        data = base64.b64decode(envelope["data_base64"]) if "data_base64" in envelope else None
        if data is None:
            data = json.dumps(envelope.get("data")).encode()
        attributes = {name: v for name, v in envelope.items() if v is not None and not name.startswith("data")}
        return {f"ce_{name}": str(v).encode() for name, v in attributes.items()}, data
    except (ValueError, TypeError, AttributeError, RecursionError):
        why = "not a structured CloudEvent: the value is no JSON object, or its data_base64 is not base64"
        raise Unreadable("structured", why) from None


def _tombstone(topic: Topic, key: bytes | None, attributes: dict[str, bytes], day: str) -> Envelope:
    if not topic.compacted:
        raise Unreadable("empty", f"no value on {topic.name}, which is not compacted")
    event_id = _text(attributes, "ce_id") or _content_id(topic, key, b"", day)
    return Envelope(event_id, _text(attributes, "ce_source") or topic.name, TOMBSTONE, None, b"")


def _type_field(value: bytes) -> str:
    """The `type` field of data that came without a type header."""
    try:
        data = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    return str(data.get("type", "")) if isinstance(data, dict) else ""


def _content_id(topic: Topic, key: bytes | None, value: bytes | None, day: str) -> str:
    digest = sha256(b"%d|%s|" % (len(key or b""), key or b"") + (value or b""))
    return derived_id(topic.name, digest.hexdigest() + day)


def _text(attributes: dict[str, bytes], name: str) -> str:
    try:
        return (attributes.get(name) or b"").decode()
    except UnicodeDecodeError:
        return ""


def _trace(attributes: dict[str, bytes]) -> str | None:
    """The W3C trace context, unless it is none: it is carried on, so rubbish must not get past."""
    text = _text(attributes, "traceparent") or _text(attributes, "ce_traceparent")
    return text if _TRACEPARENT.fullmatch(text) else None


def utc_day(timestamp_ms: int) -> str:
    """UTC day of a record's timestamp (milliseconds since 1970), ISO form."""
    return _iso_day(timestamp_ms // DAY_MS)


@lru_cache(maxsize=64)
def _iso_day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days)).isoformat()


__all__ = ["NAMESPACE", "TOMBSTONE", "Envelope", "Unreadable", "inbox_id", "read", "unreadable_id", "utc_day", "write"]
