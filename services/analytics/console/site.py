"""What every route of the console works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from services.analytics.console.pages import Pages
from services.analytics.console.pulse import Pulse
from services.analytics.console.reading import Reading
from services.analytics.console.words import Tongue, tongue


@dataclass(frozen=True, slots=True)
class Site:
    """Templates, the pulse, the database, the installation's secret and the clock."""

    pages: Pages
    pulse: Pulse
    reading: Reading
    secret: str
    now: Callable[[], datetime]


def site(request: Request) -> Site:
    """The site of this request's application."""
    found: Site = request.app.state.site
    return found


def language(request: Request) -> Tongue:
    """The language that the address asks for."""
    return tongue(request.query_params.get("lang"))


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page in the language asked for."""
    query = dict(request.query_params)
    html = site(request).pages.page(template, language(request), request.url.path, query=query, **values)
    return HTMLResponse(html, status)
