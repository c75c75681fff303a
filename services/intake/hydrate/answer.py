"""What asking a source's API for a lead can come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from services.intake.parse import parse_item

LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; names of headers in lower case. `forbidden`: why nothing was sent at all."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    forbidden: str = ""


Get = Callable[[str, Mapping[str, str]], Reply]
"""GET a URL with these headers. Raises `Unavailable` where no whole answer came; follows no redirect."""


@dataclass(frozen=True, slots=True)
class Found:
    """The lead: its fields under the names of the source, and the answer as text."""

    content: Mapping[str, Any]
    raw: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """Not readable yet, or never there."""

    detail: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The token is not valid, or may not read this."""

    detail: str


@dataclass(frozen=True, slots=True)
class Limited:
    """Too much was asked. `after_s`: how long to wait, where the source says it."""

    after_s: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Down:
    """The source does not answer, or fails."""

    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer that cannot be used."""

    detail: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Erased at the source."""


@dataclass(frozen=True, slots=True)
class NotTried:
    """Nothing was asked."""


Problem = NotFound | Denied | Limited | Down | Failed
Answer = Found | Problem | Gone | NotTried


def authorized(token: str) -> dict[str, str]:
    """The headers of a request that a token allows; never in the URL, which logs keep."""
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


def by_status(reply: Reply, now: datetime) -> Problem | Gone | None:
    """What the status alone says; None for 200. Where nothing may be sent, the source waits as with a refused token."""
    status, detail = reply.status, f"HTTP {reply.status}"
    if reply.forbidden:
        return Denied(reply.forbidden)
    wait = retry_after(reply.headers.get("retry-after"), now)
    if status == 200:
        return None
    if status in (401, 403):
        return Denied(detail)
    if status == 404:
        return NotFound(detail)
    if status == 410:
        return Gone()
    if status == 429 or (status >= 500 and wait is not None):
        return Limited(wait, detail)
    return Down(detail) if status == 408 or status >= 500 else Failed(detail)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, at most an hour; None where it says nothing."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError):
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def json_object(reply: Reply) -> dict[str, Any] | None:
    """The body as a JSON object, cleaned as what is posted to us; None where it is none, or names a key twice."""
    body = parse_item(reply.body)
    return body if isinstance(body, dict) else None


def text_of(reply: Reply) -> str:
    """The body as text that PostgreSQL takes."""
    return reply.body.decode(errors="replace").replace("\x00", "")


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def when(value: Any) -> datetime | None:
    """A moment in ISO 8601 with its zone; None where it is none."""
    try:
        read = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)
