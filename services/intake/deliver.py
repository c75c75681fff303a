"""One delivery at a source's own address, `/in/<source>[/<key>][/...]`: who it is, what is in it, what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope

from services.intake import keys
from services.intake.answers import UNAUTHORIZED, Problem, batch_response, problem_response, refusal, single_response
from services.intake.arrival import Accepted, Arrival, Reader, Refused, keys_of_items, refused
from services.intake.body import MOST_ITEM_BYTES, opened, read_body
from services.intake.caps.keep import within_caps
from services.intake.letters import letter
from services.intake.notices import read_notice
from services.intake.receive import Intake, one_by_one, published, read_one
from services.intake.reports import read_activity, read_consent, read_outcome, read_result
from services.intake.sources import page
from services.intake.sources.protocol import Delivery, Item, Kind, Protocol, Unpacked
from services.intake.sources.signatures import Signed, verified
from services.intake.sources.source import Source
from services.intake.submission import read_lead
from services.intake.thanks import thanked
from services.intake.values import key_text
from services.runtime.metrics import DLQ_RECORDS
from services.runtime.transport import Message

log = structlog.get_logger()
PREFIX = "/in/"
OF_ANY_PAGE = {"access-control-allow-origin": "*"}
"""Scripts of web pages may post here and read the answer: what counts is the key, and there are no cookies."""
_PREFLIGHT = {
    **OF_ANY_PAGE, "access-control-allow-methods": "GET, POST", "access-control-max-age": "86400",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, x-api-key",
}  # fmt: skip
_BODY_UNSIGNED = frozenset({"mailgun"})  # their signature covers none of what is sent, so a key counts beside it
_SIGNED_NAMES = ("webhook-id", "svix-id")
_MOST_PARAMETERS = 500
_READERS: Mapping[Kind, tuple[str, Reader]] = {
    "lead": ("leads", read_lead),
    "notice": ("leads", read_notice),
    "activity": ("activities", read_activity),
    "consent": ("consents", read_consent),
    "outcome": ("outcomes", read_outcome),
    "result": ("results", read_result),
}
"""By kind of item: what a source must accept, and its reader."""

NOT_KNOWN = replace(
    UNAUTHORIZED, message="no such source, or no valid API key of this one; `caudal sources list` names all"
)
_WRONG_METHOD = Problem(405, "wrong_method", "send a POST; this source's page says how")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a delivery was sent: the source's name, the key in the path if there is one, and what follows."""

    source: str
    key: str | None
    rest: str


def address(path: str) -> Address:
    """The parts of a path that begins with `/in/`."""
    name, _, rest = path.removeprefix(PREFIX).partition("/")
    first, _, further = rest.partition("/")
    return Address(name, first, further) if first.startswith(keys.START) else Address(name, None, rest)


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; of one that came twice both values, parted by a newline, which none may hold."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}\n{text}" if key in found else text
    return found


def known_source(intake: Intake, name: str) -> Source | None:
    """The source of that name, if it takes deliveries."""
    source: Source | None = intake.sources().rules.sources.get(name)
    return source if source is not None and source.kind == "http" else None


async def deliver(
    intake: Intake, scope: Scope, receive: Receive, source: Source, protocol: Protocol, where: Address
) -> Response:
    """Verify, unpack, read, publish, answer. Raises `Unavailable` when the broker may not have all of it."""
    headers, method = headers_of(scope), scope["method"]
    if method == "OPTIONS":
        return Response(b"", 200, _PREFLIGHT)
    pairs = _pairs(scope["query_string"].decode("latin-1"))
    if isinstance(pairs, Problem):
        return problem_response(pairs)
    query = dict(pairs)
    if method == "HEAD" or (method == "GET" and not (source.query and query)):  # HEAD takes nothing
        return _shaken(intake, source, protocol, Delivery(where.rest, query, headers, b"", intake.now()))
    if method not in ("POST", "GET"):
        return problem_response(_WRONG_METHOD)
    body = await read_body(headers, receive)
    if isinstance(body, Problem):
        return problem_response(body)
    if (problem := _unproved(intake, source, where, scope, headers, body)) is not None:
        return problem_response(intake.limits.of_stranger(problem, scope, intake.now()))
    if (slow := intake.limits.refusal(source, intake.now())) is not None:
        return problem_response(slow)
    masked = _masked(source, intake.source_secrets(source.name, "secret"), body)
    return await taken(intake, source, protocol, Delivery(where.rest, query, headers, masked, intake.now(), pairs))


def _masked(source: Source, secrets: Sequence[str], body: bytes) -> bytes:
    """The body without the key that stands in it: who reads our topics could send in this source's name."""
    if source.signature is not None and source.signature.scheme == "body-field":
        return keys.without(body, secrets)
    return body


async def taken(intake: Intake, source: Source, protocol: Protocol, delivery: Delivery) -> Response:
    """Open what its source has proved to be its own, read, publish, answer. Raises `Unavailable` as `deliver`."""
    body = await opened(delivery.headers, delivery.body)
    if isinstance(body, Problem):
        return problem_response(body)
    delivery = replace(delivery, body=body)
    unpacked = await _unpacked(protocol, delivery, source)
    if isinstance(unpacked, Problem):
        return problem_response(unpacked)
    read = await _read_all(intake, source, delivery, unpacked)
    results = await within_caps(intake.count, source, read, intake.now())
    await published(intake, results, *_letters(protocol, source, delivery, unpacked, results))
    return _answered(protocol, delivery, source, unpacked, results)


def _letters(
    protocol: Protocol, source: Source, delivery: Delivery, unpacked: Unpacked, results: Sequence[Accepted | Refused]
) -> tuple[Message, ...]:
    """What nobody would hear of: the delivery of a sender that looks at no answer, where something was refused."""
    kept = None
    if protocol.unread:
        texts = [one.raw for one in unpacked.items]
        kept = letter(source.name, delivery.body, texts, results, delivery.received_at)
    if kept is None:
        return ()
    log.warning("intake.refused", source=source.name, items=sum(isinstance(one, Refused) for one in results))
    DLQ_RECORDS.labels("intake", "refused").inc()
    return (kept,)


def _pairs(written: str) -> list[tuple[str, str]] | Problem:
    """The parameters, each as often as it came."""
    try:
        return parse_qsl(written, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return Problem(400, "too_many_fields", f"a query string has at most {_MOST_PARAMETERS} parameters")


def _shaken(intake: Intake, source: Source, protocol: Protocol, delivery: Delivery) -> Response:
    """A handshake, which needs no broker; others may look whether the address answers, or see its page."""
    if not delivery.query and page.is_wanted(delivery.headers):
        return page.page(source, f"{intake.public_url}{PREFIX}{source.name}", delivery.headers)
    if protocol.handshake is None:
        return Response(b"", 200) if source.query or not delivery.query else problem_response(_WRONG_METHOD)
    return protocol.handshake(delivery, source, lambda part: intake.source_secrets(source.name, part))


def _unproved(
    intake: Intake, source: Source, where: Address, scope: Scope, headers: Mapping[str, str], body: bytes
) -> Problem | None:
    """Why this is not taken for the source's own, or None."""
    if source.signature is None or (source.keys and source.signature.scheme in _BODY_UNSIGNED):
        found = keys.verify(intake.sources().rules, where.key or keys.presented(headers))
        if found is None or found.name != source.name:
            return NOT_KNOWN
    if source.signature is None:
        return None
    secrets = intake.source_secrets(source.name, "secret")
    if not secrets:
        said = f"source {source.name} has no secret yet: `caudal sources secret {source.name}`, then send it again"
        return Problem(503, "not_configured", said)
    raw_path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    url = intake.public_url + raw_path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    return verified(source.signature, Signed(scope["method"], url, headers, body), secrets, intake.now())


async def _unpacked(protocol: Protocol, delivery: Delivery, source: Source) -> Unpacked | Problem:
    if len(delivery.body) > MOST_ITEM_BYTES:  # one of 8 MB may take a second, and others wait for their answers
        return await asyncio.to_thread(protocol.unpack, delivery, source)
    return protocol.unpack(delivery, source)


async def _read_all(
    intake: Intake, source: Source, delivery: Delivery, unpacked: Unpacked
) -> Sequence[Accepted | Refused]:
    keys = keys_of_items(_key(delivery.headers, source), tuple(map(_text_of, unpacked.items)), unpacked.batch)
    items = zip(unpacked.items, keys, strict=True)
    return await one_by_one(items, lambda one: read_item(intake.secret, source, delivery, *one))


def _text_of(item: Item | Refused) -> str:
    compared = None if isinstance(item, Refused) else item.compared
    return compared or item.raw


def read_item(
    secret: str, source: Source, delivery: Delivery, item: Item | Refused, key: str | None = None
) -> Accepted | Refused:
    """What becomes of one item; `key` names the request at its sender."""
    if isinstance(item, Refused):
        return item
    accepts, reader = _READERS[item.kind]
    if accepts not in source.accepts:
        return refused("", "forbidden", f"this source may not send {accepts}; it may send {', '.join(source.accepts)}")
    at = delivery.received_at
    own = item.key or key
    return read_one(reader, Arrival(source, item.content, item.raw, own, at, at, secret, item.compared, mapped=True))


def _key(headers: Mapping[str, str], source: Source) -> str | None:
    """The name that the request itself has at its sender: of one that signs only what its signature covers."""
    scheme = source.signature.scheme if source.signature else None
    names = _SIGNED_NAMES if scheme == "standard-webhooks" else () if scheme else ("idempotency-key", *_SIGNED_NAMES)
    return key_text(next((headers[name] for name in names if name in headers), None))


def _answered(
    protocol: Protocol, delivery: Delivery, source: Source, unpacked: Unpacked, results: Sequence[Accepted | Refused]
) -> Response:
    if protocol.answer is not None:
        return protocol.answer(delivery, source, results)
    if unpacked.batch or len(results) != 1:
        return batch_response(results)
    only: Any = results[0]
    if isinstance(only, Refused):
        return problem_response(refusal(only))
    item: Any = unpacked.items[0]
    return thanked(source, item.content, delivery.headers) or single_response(only)
