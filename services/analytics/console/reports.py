"""Reports as pages, as JSON and as CSV."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.analytics.console.site import page, site
from services.analytics.reports import render
from services.analytics.reports.catalogue import REPORTS
from services.analytics.reports.question import DIMENSIONS, Question, question

FORMATS = {"json": ("application/json", render.as_json), "csv": ("text/csv; charset=utf-8", render.as_csv)}


async def report_page(request: Request) -> Response:
    """One report for a person, with the form that asks it."""
    asked, rows = await _answer(request)
    return page(request, "report", name=request.path_params["name"], asked=asked, rows=rows, dimensions=DIMENSIONS,
                names=tuple(REPORTS))  # fmt: skip


async def report_data(request: Request) -> Response:
    """One report as JSON, or as CSV with `format=csv`."""
    wanted = request.query_params.get("format", "json")
    if wanted not in FORMATS:
        raise HTTPException(400, f"format={wanted!r}: there are json and csv")
    media_type, encode = FORMATS[wanted]
    _, rows = await _answer(request)
    return Response(encode(rows), media_type=media_type)


async def _answer(request: Request) -> tuple[Question, Sequence[Any]]:
    here, report = site(request), REPORTS.get(request.path_params["name"])
    if report is None:
        raise HTTPException(404, f"no such report; there are {', '.join(REPORTS)}")
    asked = question(request.query_params, here.now().date())
    return asked, await asyncio.to_thread(here.reading.run, lambda cursor: report(cursor, asked))
