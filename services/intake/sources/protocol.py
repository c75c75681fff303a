"""What a sender's protocol is: how one request becomes items, how its handshake is answered, how success is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from starlette.responses import Response

from services.intake.answers import Problem
from services.intake.arrival import Accepted, Refused
from services.intake.sources.source import Source

Kind = Literal["lead", "activity", "consent", "outcome", "result", "notice"]
"""What an item is. A notice names a lead by id only, to be read from the source's API (hydrate)."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it came, already verified: `path` is what follows the source's own URL, names are lower case.

    `pairs` is the whole query string, `query` the last value of each of its parameters.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    pairs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a delivery. `content` is what its reader gets, `raw` its text as sent, `key` its sender's own id.

    `compared` is what must be the same when the item comes again under its key, where that is not all of `raw`;
    empty where the key alone says which one it is.
    """

    kind: Kind
    content: Mapping[str, Any]
    raw: str
    key: str | None = None
    compared: str | None = None


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The items in the order of the delivery; a batch is answered item by item. None at all is a success, too."""

    items: tuple[Item | Refused, ...]
    batch: bool = False


Unpack = Callable[[Delivery, Source], Unpacked | Problem]
Handshake = Callable[[Delivery, Source, Callable[[str], Sequence[str]]], Response]
"""Answers a GET; gets the values of one of the source's secrets by the name of the part. Needs no broker."""
Answer = Callable[[Delivery, Source, Sequence[Accepted | Refused]], Response]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a sender speaks. Without `answer`: one item is `{"id", "status"}` or a refusal, a batch item by item.

    `unread` says that nobody looks at its answers: a delivery with something refused in it is kept as a dead letter.
    """

    unpack: Unpack
    handshake: Handshake | None = None
    answer: Answer | None = None
    unread: bool = False
