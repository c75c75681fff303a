"""The live page, and the server-sent events that keep it moving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg2
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.analytics.console.pulse import EVERY_S
from services.analytics.console.site import language, page, site
from services.analytics.console.view import shown


async def live_page(request: Request) -> Response:
    """The live page as it stands now; its script takes over from here."""
    here = site(request)
    beat = await here.pulse.beat()
    return page(request, "live", shown=shown(beat, language(request), here.pages))


async def events(request: Request) -> ASGIApp:
    """One event a second; `away` while the database does not answer."""
    stream = StreamingResponse(_beats(request), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):  # the server stops and cuts what never ends by itself
            await stream(scope, receive, send)

    return until_stopped


async def _beats(request: Request) -> AsyncIterator[str]:
    here, tongue = site(request), language(request)
    yield "retry: 1000\n\n"
    while not await request.is_disconnected():
        try:
            beat = await here.pulse.beat()
            yield f"data: {json.dumps(shown(beat, tongue, here.pages), ensure_ascii=False)}\n\n"
        except psycopg2.Error:
            yield "event: away\ndata: {}\n\n"
        await asyncio.sleep(EVERY_S)
