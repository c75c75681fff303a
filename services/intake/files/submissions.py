"""From an item of a file to its events, by the same readers as everything else that arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from services.intake.arrival import Accepted, Arrival, Refused, refused
from services.intake.fields import canonical
from services.intake.files.cells import parted, with_zero
from services.intake.files.dates import iso
from services.intake.files.items import Item
from services.intake.files.mapping import IGNORED
from services.intake.readers import READERS
from services.intake.sources.source import Accepts, Source
from services.intake.submission import lead_of
from services.runtime.verdict import Outgoing

_DATES = ("occurred_at", "day")
_MOST_VALUE_CHARS = 250_000  # at most four bytes each, and Kafka takes a million


@dataclass(frozen=True, slots=True)
class Terms:
    """How a list's items are taken: whose they are, what its columns mean, what each row has that it does not say.

    `cost` is that of one row. `days_first`: how dates such as 03/04/2026 are read.
    `is_sheet`: from a spreadsheet, where a postcode may be a number.
    """

    source: Source
    what: Accepts
    list_name: str
    fields: Mapping[str, str]
    defaults: Mapping[str, str]
    secret: str
    cost: float | None = None
    currency: str | None = None
    days_first: bool = True
    is_sheet: bool = False


def listed_source(source: Source, fields: Mapping[str, str], campaign: str | None, channel: str | None) -> Source:
    """The source as this list's: what its columns mean, and its campaign and channel, where they are said."""
    said: dict[str, Any] = {name: value for name, value in (("campaign", campaign), ("channel", channel)) if value}
    named = {column: field for column, field in fields.items() if field != IGNORED}
    return source.model_copy(update={**said, "fields": {**source.fields, **named}})


def digest(item: Item) -> bytes:
    """16 bytes that stand for what the item says, whatever its number."""
    return blake2b(item.raw.encode(errors="replace"), digest_size=16).digest()


def submission(item: Item, nth: int, terms: Terms, now: datetime) -> Accepted | Refused:
    """The item's events, or what is wrong with it.

    Its id comes from its sender's own id, else from the list's name, what it says, and how many before it in the file
    said the same: a list read twice gives the same ids, two rows alike give two.
    """
    key = item.key or f"{terms.list_name}|{digest(item).hex()}|{nth}"
    content = _lead_content(item.content, terms) if terms.what == "leads" else _report_content(item.content, terms)
    result = READERS[terms.what](Arrival(terms.source, content, item.raw, key, now, now, terms.secret, item.compared))
    if isinstance(result, Refused):
        return result
    if any(len(event.value or "") > _MOST_VALUE_CHARS for event in result.events):
        return refused("", "too_large", "the item is too large for one record; send shorter fields")
    return result if terms.cost is None else _priced(result, terms.cost, terms.currency)


def _lead_content(content: Mapping[str, Any], terms: Terms) -> Mapping[str, Any]:
    """The columns under their own names, whose fields the source knows, and what the list says where a row does not."""
    kept = {name: value for name, value in content.items() if terms.fields.get(name) != IGNORED}
    filled = {terms.fields.get(name) or canonical(name): name for name in reversed(kept)}
    when = filled.get("occurred_at")
    if when and isinstance(kept[when], str):
        kept[when] = iso(kept[when], terms.days_first)
    parted(kept, filled)
    if terms.is_sheet:
        with_zero(kept, filled, terms.source.region)
    given = {"list_name": terms.list_name, **terms.defaults}
    return kept | {name: value for name, value in given.items() if name not in filled}


def _report_content(content: Mapping[str, Any], terms: Terms) -> Mapping[str, Any]:
    """The columns under the fields' names; of activities the others are properties."""
    fields: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in content.items():
        target = terms.fields.get(name)
        if target is None:
            others[name] = value
        elif target != IGNORED:
            fields.setdefault(target, iso(value, terms.days_first) if target in _DATES else value)
    fields = {**terms.defaults, **fields}
    return {**others, **fields, "properties": others} if terms.what == "activities" else {**others, **fields}


def _priced(accepted: Accepted, cost: float, currency: str | None) -> Accepted:
    """The same with what one row of the list cost, said by the lead's event."""
    first, *others = accepted.events
    if first.type != "lead.received":
        return accepted
    lead = lead_of(first).model_copy(update={"cost": cost, "currency": currency})
    event = Outgoing(first.topic, first.type, first.key, first.id, 0, lead.model_dump_json(exclude_none=True), lead)
    return Accepted(accepted.id, (event, *others))
