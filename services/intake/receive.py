"""One posted request from its key to its answer: authenticate, read, map, publish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Receive

from schemas import codec
from services.intake import keys
from services.intake.answers import UNAUTHORIZED, Problem, batch_response, problem_response, refusal, single_response
from services.intake.arrival import TOO_MANY_KEYS, Accepted, Arrival, Reader, Refused, ambiguous, keys_of_items, refused
from services.intake.body import MOST_ITEM_BYTES, Items, opened, read_body, read_items
from services.intake.caps.counter import Counter, no_counter
from services.intake.caps.keep import within_caps
from services.intake.gateway import Gateway
from services.intake.limits import Limits
from services.intake.parse import Ambiguous, too_many_keys
from services.intake.sources.source import Source
from services.runtime.transport import Message
from services.runtime.verdict import Book, Outgoing

_SOURCE = "caudal/intake"
_MOST_VALUE_BYTES = 1_000_000  # Kafka's limit of a record, less its headers
_ITEMS_AT_ONCE = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Intake:
    """What every route needs. `sources` gives the book in force or raises `Unavailable`; `now` is in UTC.

    `source_secrets` gives the values of one part of a source's secrets; senders know us as `public_url`; `count` holds
    sources with caps to them.
    """

    gateway: Gateway
    sources: Callable[[], Book]
    secret: str
    now: Callable[[], datetime]
    source_secrets: Callable[[str, str], Sequence[str]]
    public_url: str
    limits: Limits = field(default_factory=Limits)
    count: Counter = no_counter


def authenticated(intake: Intake, headers: Mapping[str, str], name: str) -> Source | Problem:
    """The source whose key this is, if it may send `name`."""
    source = keys.verify(intake.sources().rules, keys.presented(headers))
    if source is None:
        return UNAUTHORIZED
    if name not in source.accepts:
        return Problem(403, "forbidden", f"this key may not send {name}; it may send {', '.join(source.accepts)}")
    return source


async def take(
    intake: Intake, headers: Mapping[str, str], receive: Receive, source: Source, reader: Reader
) -> Response:
    """Read the items, publish the good ones, answer. Raises `Unavailable` when the broker may not have all of them."""
    body = await read_body(headers, receive)
    if isinstance(body, Problem):
        return problem_response(body)
    key = headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= 255:
        return problem_response(Problem(400, "bad_key", "Idempotency-Key has 1 to 255 characters"))
    body = await opened(headers, body)
    items = await read_items(headers.get("content-type", ""), body) if isinstance(body, bytes) else body
    if isinstance(items, Problem):
        return problem_response(items)
    read = await _read_all(intake, source, reader, items, key)
    results = await within_caps(intake.count, source, read, intake.now())
    await published(intake, results)
    if items.batch:
        return batch_response(results)
    only = results[0]
    return single_response(only) if isinstance(only, Accepted) else problem_response(refusal(only))


async def published(intake: Intake, results: Sequence[Accepted | Refused], *more: Message) -> None:
    """Return once the broker has the events of all that were taken and `more`; raises `Unavailable` when it may not."""
    messages = [message(event) for result in results if isinstance(result, Accepted) for event in result.events]
    messages += more
    if messages:
        await intake.gateway.publish(messages)


def message(event: Outgoing) -> Message:
    """The record of an event."""
    value = None if event.value is None else event.value.encode()
    return Message(event.topic.name, event.key.encode(), value, codec.write(event.id, event.type, _SOURCE))


async def _read_all(
    intake: Intake, source: Source, reader: Reader, items: Items, key: str | None
) -> Sequence[Accepted | Refused]:
    now = intake.now()
    keys = keys_of_items(key, items.raws, items.batch)
    arrivals = (
        Arrival(source, content, raw, own, now, now, intake.secret)
        for content, raw, own in zip(items.contents, items.raws, keys, strict=True)
    )
    return await one_by_one(arrivals, partial(read_one, reader))


async def one_by_one(items: Iterable[T], read: Callable[[T], Accepted | Refused]) -> Sequence[Accepted | Refused]:
    """What becomes of each; after some of them others get their turn on the loop."""
    results: list[Accepted | Refused] = []
    for index, item in enumerate(items):
        if index and index % _ITEMS_AT_ONCE == 0:
            await asyncio.sleep(0)
        results.append(read(item))
    return results


def read_one(reader: Reader, arrival: Arrival) -> Accepted | Refused:
    """What the reader makes of one item, if it is an object that fits a record before and after."""
    if isinstance(arrival.content, Ambiguous):
        return ambiguous(arrival.content)
    if not isinstance(arrival.content, dict):
        return refused("", "not_an_object", "an item must be a JSON object with named fields")
    if len(arrival.raw) > MOST_ITEM_BYTES:
        return refused("", "too_large", f"one item has at most {MOST_ITEM_BYTES} bytes")
    if too_many_keys(arrival.content):
        return TOO_MANY_KEYS
    result = reader(arrival)
    if isinstance(result, Accepted) and any(map(_too_large, result.events)):
        return refused("", "too_large", "the item is too large for one record; send shorter fields")
    return result


def _too_large(event: Outgoing) -> bool:
    """A character has at most four bytes, so most events need no encoding to be known small enough."""
    value = event.value or ""
    return len(value) * 4 > _MOST_VALUE_BYTES and len(value.encode()) > _MOST_VALUE_BYTES
