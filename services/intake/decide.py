"""Sources of kind `kafka`: what a platform wrote on its topic becomes a lead, with the checks and ids of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.intake.arrival import Accepted, Arrival, Reader, Refused, ambiguous
from services.intake.parse import Ambiguous, Unparsed, parse_item
from services.intake.reports import read_activity
from services.intake.rules import SOURCE_TOPIC
from services.intake.sources import cloudevents
from services.intake.sources.mapping import by_map, key_of
from services.intake.sources.protocol import Item, Kind
from services.intake.sources.source import Source
from services.intake.submission import read_lead
from services.runtime.verdict import Context, Dead, Emit, Incoming, Verdict

_LARGEST = 262_144
_READERS: Mapping[Kind, Reader] = {"lead": read_lead, "activity": read_activity}


def decide(event: Incoming, secret: str, context: Context) -> Verdict:
    """The lead in one record, or why there is none in it."""
    source = _source(event.topic, context)
    if source is None:
        return Dead("unknown_source", f"{event.topic} is no source of kind kafka in book sources; add it there")
    if len(event.body) > _LARGEST:
        return Dead("too_large", f"{len(event.body)} bytes; a submission has at most {_LARGEST}")
    content = parse_item(event.body)
    if isinstance(content, Unparsed):
        return Dead(content.code, content.message)
    if isinstance(content, Ambiguous):
        return _refusal(ambiguous(content))
    if not isinstance(content, dict):
        return Dead("not_an_object", "the record's value must be one JSON object")
    item = _item(event, content, source)
    if isinstance(item, Refused):
        return _refusal(item)
    at, now = event.timestamp, context.now
    arrival = Arrival(source, item.content, item.raw, item.key, at, now, secret, item.compared, mapped=True)
    return _verdict(_READERS[item.kind], arrival)


def _item(event: Incoming, content: dict[str, Any], source: Source) -> Item | Refused:
    """The record as its source's protocol and map read it, under the id that it would have by HTTP."""
    raw = event.body.decode()
    if source.protocol == "cloudevents":
        return cloudevents.read({"id": event.id, "source": event.source, "type": event.type}, content, raw, source)
    return Item("lead", by_map(content, source), raw, key_of(content, source) or event.id)


def _source(topic: str, context: Context) -> Source | None:
    name = SOURCE_TOPIC.fullmatch(topic)
    source: Source | None = context.books["sources"].rules.sources.get(name[1]) if name else None
    return source if source is not None and source.kind == "kafka" else None


def _verdict(read: Reader, arrival: Arrival) -> Verdict:
    match read(arrival):
        case Accepted(_, events):
            return Emit(events)
        case Refused() as no:
            return _refusal(no)


def _refusal(no: Refused) -> Dead:
    return Dead(no.faults[0].code, "; ".join(fault.message for fault in no.faults))
