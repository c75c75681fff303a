"""One item as it arrived, and what is said to its sender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from schemas.events.event import derived_id
from services.intake.parse import MOST_KEYS, Ambiguous
from services.intake.sources.source import Source
from services.intake.values import is_scalar, key_text, text
from services.runtime.verdict import Outgoing


@dataclass(slots=True)  # not frozen: built for every item, and a frozen one costs three times as much
class Arrival:
    """One item from one source. `raw` is its text as sent; `key` names it where the sender gave it a name beside it.

    `compared` is what must be the same when the item comes again, where that is not the whole of `raw`; empty where
    `key` alone says which one it is. `mapped`: the source's map was applied, so the fields have our names.
    """

    source: Source
    content: Mapping[str, Any]
    raw: str
    key: str | None
    received_at: datetime
    recorded_at: datetime
    secret: str
    compared: str | None = None
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field: a code to branch on, a sentence to read."""

    field: str
    code: str
    message: str


@dataclass(slots=True)  # not frozen: built for every item, and a frozen one costs three times as much
class Accepted:
    """The item is good: its id, and the events that must be on the log before its sender is told so."""

    id: str
    events: tuple[Outgoing, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The item is not good, and why; never empty. `raw` is its text, where it was refused before it was an item."""

    faults: tuple[Fault, ...]
    raw: str = ""


Reader = Callable[[Arrival], Accepted | Refused]


def refused(field: str, code: str, message: str, raw: str = "") -> Refused:
    """A refusal for one reason."""
    return Refused((Fault(field, code, message),), raw)


TOO_MANY_KEYS = refused("", "too_many_fields", f"one item has at most {MOST_KEYS} fields")


def ambiguous(item: Ambiguous) -> Refused:
    """A refusal of an item that may mean two things."""
    name = text(item.key, 100) or ""
    return refused(name, "duplicate_key", f"{name} stands twice with different values; send each field once")


def own_key(arrival: Arrival) -> str | None:
    """The source's own key of the item, a number or a text alike; else the name that came with the request."""
    field = arrival.source.id_field
    value = arrival.content.get(field) if field else None
    own = key_text(value) if is_scalar(value) else None
    return own or arrival.key


def body_hash(arrival: Arrival) -> str:
    """SHA-256 of the item as sent, or of what is compared of it, in hex."""
    return sha256((arrival.compared or arrival.raw).encode()).hexdigest()


def arrival_id(arrival: Arrival, kind: str) -> str:
    """The item's id: from its key; without one from its bytes and the UTC day, so that a repeat gets the same id.

    A lead's other body under its key is told by `body_hash`. Of all else much is told under one key: there the bytes
    count beside it, and another body is another event, but where a protocol names each of its events.
    """
    key = own_key(arrival)
    if key is None:
        key = f"{body_hash(arrival)}|{arrival.received_at.date().isoformat()}"
    elif kind != "submission" and (arrival.compared != "" or key != arrival.key):
        key = f"{key}|{body_hash(arrival)}"
    return derived_id(f"{arrival.source.name}|{key}", kind)


def keys_of_items(key: str | None, texts: Sequence[str], batch: bool) -> list[str | None]:
    """What the items of a request are called that has this key at its sender.

    In a batch: by what they say, and how many before said the same; so who leaves one out calls the others alike.
    """
    if key is None or not batch:
        return [key] * len(texts)
    hashes = [sha256(text.encode()).hexdigest() for text in texts]
    before: Counter[str] = Counter()
    named: list[str | None] = []
    for digest in hashes:
        named.append(f"{key}#{digest}" + (f"#{before[digest]}" if before[digest] else ""))
        before[digest] += 1
    return named
