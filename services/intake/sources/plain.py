"""The usual way: a body of JSON, XML, a form or a query string, one lead or a list of them, by the source's map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.intake.answers import Problem
from services.intake.arrival import TOO_MANY_KEYS, Refused, ambiguous, refused
from services.intake.body import EMPTY_BATCH, MOST_ITEM_BYTES, MOST_ITEMS
from services.intake.brackets import nested
from services.intake.parse import Ambiguous, item_text, pairs_text, too_many_keys
from services.intake.sources.mapping import key_of, mapped
from services.intake.sources.paths import at
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.reading import read
from services.intake.sources.source import Source


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """The leads in a delivery: `items` says where a list of them stands, or the body is a list, or it is one lead."""
    if not delivery.body and source.query and delivery.query:
        pairs = list(delivery.pairs or delivery.query.items())
        return Unpacked((lead(nested(pairs), pairs_text(pairs), source),))
    found = read(delivery.headers.get("content-type", ""), delivery.body)
    if isinstance(found, Problem):
        return found
    content, raw = found
    listed = at(content, source.items) if source.items else content
    if isinstance(content, list) and not isinstance(listed, list):  # a bare list, whatever it is called elsewhere
        listed = content
    shared = {name: value for name in source.shared if (value := at(content, name)) is not None}
    if isinstance(listed, list):
        return _batch([{**shared, **one} if isinstance(one, dict) else one for one in listed], source)
    if len(raw) > MOST_ITEM_BYTES:
        return Problem(413, "too_large", f"one item has at most {MOST_ITEM_BYTES} bytes")
    return Unpacked((lead({**shared, **listed} if isinstance(listed, dict) else content, raw, source),))


def lead(content: Any, raw: str, source: Source) -> Item | Refused:
    """One lead by the source's map."""
    if isinstance(content, Ambiguous):
        return ambiguous(content)
    if not isinstance(content, dict):
        return refused("", "not_an_object", "an item must be an object with named fields")
    if too_many_keys(content):
        return TOO_MANY_KEYS
    return Item("lead", mapped(content, source), raw, key_of(content, source), _compared(content, source))


def _compared(content: dict[str, Any], source: Source) -> str | None:
    """What must be the same when the lead comes again; None where that is all of it."""
    if content.keys().isdisjoint(source.not_compared):
        return None
    return item_text({name: value for name, value in content.items() if name not in source.not_compared})


def _batch(listed: Sequence[Any], source: Source) -> Unpacked | Problem:
    if not listed:
        return EMPTY_BATCH
    if len(listed) > MOST_ITEMS:
        return Problem(413, "too_many", f"a batch has at most {MOST_ITEMS} items, this one has {len(listed)}")
    return Unpacked(tuple(lead(one, _text_of(one), source) for one in listed), batch=True)


def _text_of(item: Any) -> str:
    return "" if isinstance(item, Ambiguous) else item_text(item)
