"""The console's web application: the live page and its event stream, reports, a lead's timeline, the JSON API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.analytics.console import leads, reports, stream
from services.analytics.console.lag import Lags
from services.analytics.console.live import look
from services.analytics.console.pages import load_pages
from services.analytics.console.pulse import Pulse
from services.analytics.console.reading import Reading
from services.analytics.console.security import SecurityHeaders
from services.analytics.console.site import Site, page
from services.analytics.console.words import tongue
from services.analytics.reports.question import BadQuestion
from services.analytics.settings import AnalyticsSettings


def create_app(
    settings: AnalyticsSettings, lags: Lags, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Starlette:
    """The application; it connects to the database when first asked."""
    reading = Reading(settings.postgres)
    pulse = Pulse(lambda: reading.run(lambda cursor: look(cursor, now())), lags)
    app = Starlette(
        routes=[
            Route("/", stream.live_page), Route("/events", stream.events),
            Route("/find", leads.find, methods=["POST"]), Route("/leads/{lead_id}", leads.lead_page),
            Route("/reports/{name}", reports.report_page),
            Route("/api/leads/{lead_id}", leads.lead_data), Route("/api/reports/{name}", reports.report_data),
            Route("/healthz", _healthy),
            Mount("/static", StaticFiles(directory=Path(__file__).with_name("static"))),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.console_host_names()),
            Middleware(SecurityHeaders),
        ],
        exception_handlers={psycopg2.Error: _away, BadQuestion: _bad_question},
    )  # fmt: skip
    app.state.site = Site(load_pages(), pulse, reading, settings.secret, now)
    return app


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _away(request: Request, _: Exception) -> Response:
    return _told(request, 503, "away", "away_note")


async def _bad_question(request: Request, error: Exception) -> Response:
    return _told(request, 400, "bad_question", str(error))


def _told(request: Request, status: int, title: str, note: str) -> Response:
    if request.url.path.startswith("/api/"):
        words = tongue("en")
        return JSONResponse({"error": words.t(title), "detail": words.t(note)}, status)
    return page(request, "message", status, title=title, note=note)
