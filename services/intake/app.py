"""Intake's HTTP side: its routes, and what each answers when something fails."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.intake import openapi, unsubscribe
from services.intake.answers import FAILED, UNAVAILABLE, Problem, json_response, problem_response
from services.intake.arrival import Reader
from services.intake.gateway import Gateway
from services.intake.receive import Intake, authenticated, message, take
from services.intake.reports import read_activity, read_consent, read_outcome
from services.intake.submission import read_lead
from services.runtime.errors import Unavailable
from services.runtime.metrics import INTAKE_DURATION, INTAKE_REQUESTS, REGISTRY
from services.runtime.verdict import Book

log = structlog.get_logger()
Answer = Callable[[Request], Awaitable[Response]]
READERS: dict[str, Reader] = {
    "leads": read_lead,
    "activities": read_activity,
    "consents": read_consent,
    "outcomes": read_outcome,
}
"""What may be posted to `/v1/<name>`."""

_NO_ROUTE = {
    404: Problem(404, "not_found", "no such path; see /openapi.json"),
    405: Problem(405, "wrong_method", "this path does not take that method; see /openapi.json"),
}


def build_app(gateway: Gateway, sources: Callable[[], Book], secret: str, now: Callable[[], datetime]) -> Starlette:
    """The application. `sources` gives the rule book in force and may raise `Unavailable`; `now` must be in UTC."""
    intake = Intake(gateway, sources, secret, now)
    click, page = unsubscribe.routes(secret, now, lambda event: gateway.publish([message(event)]))
    routes = [
        *(Route(f"/v1/{name}", _posted(intake, name, reader), methods=["POST"]) for name, reader in READERS.items()),
        Route("/u/{token}", _guarded("unsubscribe", click), methods=["POST"]),
        Route("/u/{token}", _guarded("unsubscribe", page), methods=["GET"]),
        Route("/openapi.json", _fixed(openapi.document()), methods=["GET"]),
        Route("/healthz", _fixed({"status": "alive"}), methods=["GET"]),
        Route("/readyz", _ready(intake), methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


def _posted(intake: Intake, name: str, reader: Reader) -> Answer:
    async def answer(request: Request) -> Response:
        found = authenticated(intake, request, name)
        if isinstance(found, Problem):
            return problem_response(found)
        request.state.source = found.name
        return await take(intake, request, found, reader)

    guarded = _guarded(name, answer)

    async def measured(request: Request) -> Response:
        began = time.perf_counter()
        response = await guarded(request)
        source = getattr(request.state, "source", "unknown")
        INTAKE_REQUESTS.labels(source, str(response.status_code)).inc()
        INTAKE_DURATION.labels(source).observe(time.perf_counter() - began)
        return response

    return measured


def _guarded(name: str, answer: Answer) -> Answer:
    """The last resort of every route. What went wrong is named by its type only: its text may hold what was sent."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Unavailable:
            return problem_response(UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - a bug met by one request must not stop the service or print its data
            log.error("intake.failed", route=name, error=type(error).__name__, at=_place(error))
            return problem_response(FAILED)

    return guarded


def _place(error: BaseException) -> str:
    """Where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else "unknown"


def _fixed(content: Any) -> Answer:
    async def answer(_request: Request) -> Response:
        return json_response(200, content)

    return answer


def _ready(intake: Intake) -> Answer:
    async def answer(_request: Request) -> Response:
        try:
            version = intake.sources().version
        except Unavailable as error:
            return json_response(503, {"status": "not ready", "why": str(error)})
        if not intake.gateway.ready:
            return json_response(503, {"status": "not ready", "why": "the broker does not acknowledge"})
        return json_response(200, {"status": "ready", "sources": version})

    return answer


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(REGISTRY), 200, None, "text/plain; version=0.0.4")


async def _no_route(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem_response(_NO_ROUTE.get(status, FAILED))
