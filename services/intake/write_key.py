"""The fixed paths of tracking SDKs, `/v1/batch` and its like: the write key alone says whose delivery it is.

It is an API key of ours: as user of HTTP Basic with an empty password, in our own headers, or `writeKey` in the body.
"""

from __future__ import annotations

import re

from starlette.types import Receive, Scope

from services.intake import keys
from services.intake.answers import Problem
from services.intake.body import opened, read_body
from services.intake.deliver import headers_of
from services.intake.receive import Intake
from services.intake.sources import segment
from services.intake.sources.protocol import Delivery
from services.intake.sources.source import Source

PATHS = tuple(f"/v1/{call}" for call in ("batch", "import", *segment.CALLS))
NO_KEY = Problem(401, "unauthorized", "no valid write key; use an API key of Caudal, cdl_..., as the write key")
_IN_BODY = re.compile(rb'"writeKey"[ \t\r\n]*:[ \t\r\n]*"(cdl_[A-Za-z0-9_-]{1,80})"')


async def read_keyed(intake: Intake, scope: Scope, receive: Receive) -> tuple[Source, Delivery] | Problem:
    """The delivery and the source that its write key names."""
    headers = headers_of(scope)
    body = await read_body(headers, receive)
    if isinstance(body, Problem):
        return body
    key = keys.presented(headers)
    if key is None:
        content = await opened(headers, body)
        if isinstance(content, Problem):
            return content
        key, body, headers = _in_body(content), content, {**headers, "content-encoding": ""}  # opened once
    source = keys.verify(intake.sources().rules, key)
    return (source, Delivery(scope["path"], {}, headers, body, intake.now())) if source else NO_KEY


def _in_body(body: bytes) -> str | None:
    """Looked for as text: whoever has shown no key yet gets nothing parsed."""
    found = _IN_BODY.search(body)
    return found[1].decode() if found else None
