"""A lead's timeline as a page and as JSON, and the search for one."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.analytics.console.site import page, site
from services.analytics.timeline import Entry, find_leads, timeline


async def find(request: Request) -> Response:
    """To the lead that the term means; sent as a form, so that no address gets into a URL or a log."""
    here = site(request)
    async with request.form(max_fields=4, max_part_size=1024) as form:
        term = str(form.get("term", ""))[:254]
    found = await asyncio.to_thread(here.reading.run, lambda cursor: find_leads(cursor, term, here.secret))
    if not found:
        return page(request, "message", 404, title="not_found", note="not_found_note")
    if len(found) > 1:
        return page(request, "message", 200, title="several", note="", leads=found[:100])
    lang = urlencode({k: v for k, v in request.query_params.items() if k == "lang"})
    return RedirectResponse(f"/leads/{found[0]}?{lang}".rstrip("?"), 303)


async def lead_page(request: Request) -> Response:
    """Everything that happened with one lead, for a person."""
    told = await _timeline(request)
    if not told:
        return page(request, "message", 404, title="not_found", note="not_found_note")
    lead: dict[str, Any] = next((e.data["lead"] for e in reversed(told) if isinstance(e.data.get("lead"), dict)), {})
    held: dict[str, Any] = next((e.data for e in reversed(told) if e.topic == "leads.assigned.v1"), {})
    return page(request, "lead", entries=told, lead=lead, held=held, lead_id=request.path_params["lead_id"])


async def lead_data(request: Request) -> Response:
    """The same as JSON; 404 for an id without events."""
    told = await _timeline(request)
    if not told:
        return JSONResponse({"error": "not found", "detail": "no lead has this id"}, 404)
    times = ("occurred_at", "recorded_at")
    events = [asdict(entry) | {name: getattr(entry, name).isoformat() for name in times} for entry in told]
    return JSONResponse({"lead_id": request.path_params["lead_id"], "events": events})


async def _timeline(request: Request) -> list[Entry]:
    lead_id = request.path_params["lead_id"]
    return await asyncio.to_thread(site(request).reading.run, lambda cursor: timeline(cursor, lead_id))
