"""Intake's HTTP side: its routes, and what each answers when something fails."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

import structlog
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.intake import openapi, unsubscribe
from services.intake.answers import FAILED, UNAVAILABLE, Problem, json_response, problem_response
from services.intake.arrival import Reader
from services.intake.deliver import NOT_KNOWN, OF_ANY_PAGE, PREFIX, address, deliver, known_source, taken
from services.intake.readers import READERS
from services.intake.receive import Intake, authenticated, message, take
from services.intake.sources.protocols import PROTOCOLS
from services.intake.sources.source import Source
from services.intake.write_key import PATHS, read_keyed
from services.runtime.errors import Unavailable
from services.runtime.metrics import INTAKE_DURATION, INTAKE_REQUESTS, REGISTRY

log = structlog.get_logger()
Answer = Callable[[Request], Awaitable[Response]]
Seen = Callable[[Source], None]
_NOT_FOUND = Problem(404, "not_found", "no such path; see /openapi.json")
_WRONG_METHOD = Problem(405, "wrong_method", "this path does not take that method; see /openapi.json")


def build_app(intake: Intake) -> ASGIApp:
    """The application.

    Posts to `/v1/` go straight to their reader: routing and middleware would cost more than reading a lead does.
    """
    posted = {f"/v1/{name}": _posted(intake, name, reader) for name, reader in READERS.items()}
    posted |= dict.fromkeys(PATHS, _tracked(intake))
    others, delivered = _others(intake), _delivered(intake)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hot = posted.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if hot is None and scope["path"].startswith(PREFIX):
            hot = delivered
        await (hot or others)(scope, receive, send)

    return app


def _posted(intake: Intake, name: str, reader: Reader) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, seen: Seen) -> Response:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        found = authenticated(intake, headers, name)
        if isinstance(found, Problem):
            return problem_response(intake.limits.of_stranger(found, scope, intake.now()))
        seen(found)
        if (slow := intake.limits.refusal(found, intake.now())) is not None:
            return problem_response(slow)
        return await take(intake, headers, receive, found, reader)

    return _served(name, answer)


def _delivered(intake: Intake) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, seen: Seen) -> Response:
        where = address(scope["path"])
        source = known_source(intake, where.source)
        if source is None:
            return problem_response(intake.limits.of_stranger(NOT_KNOWN, scope, intake.now()))
        seen(source)
        return await deliver(intake, scope, receive, source, PROTOCOLS[source.protocol], where)

    return _served("in", answer, OF_ANY_PAGE)


def _tracked(intake: Intake) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, seen: Seen) -> Response:
        found = await read_keyed(intake, scope, receive)
        if isinstance(found, Problem):
            return problem_response(intake.limits.of_stranger(found, scope, intake.now()))
        source, delivery = found
        seen(source)
        if (slow := intake.limits.refusal(source, intake.now())) is not None:
            return problem_response(slow)
        return await taken(intake, source, PROTOCOLS["segment"], delivery)

    return _served("tracked", answer)


def _served(
    name: str, answer: Callable[[Scope, Receive, Seen], Awaitable[Response]], headers: Mapping[str, str] | None = None
) -> ASGIApp:
    """A route whose answers are counted and timed by the source that it has `seen`; all get these headers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        source = "unknown"

        def seen(found: Source) -> None:
            nonlocal source
            source = found.name

        response = await _answered(name, lambda: answer(scope, receive, seen))
        if headers:
            response.headers.update(headers)
        _count(source, response.status_code, time.perf_counter() - began)
        await response(scope, receive, send)

    return app


async def _answered(name: str, answer: Callable[[], Awaitable[Response]]) -> Response:
    """The last resort of every route. What went wrong is named by its type only: its text may hold what was sent."""
    try:
        return await answer()
    except Unavailable:
        return problem_response(UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 - a bug met by one request must not stop the service or print its data
        log.error("intake.failed", route=name, error=type(error).__name__, at=_place(error))
        return problem_response(FAILED)


def _place(error: BaseException) -> str:
    """Where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else "unknown"


@lru_cache(maxsize=1024)
def _meters(source: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    return INTAKE_REQUESTS.labels(source, str(status)).inc, INTAKE_DURATION.labels(source).observe


def _count(source: str, status: int, seconds: float) -> None:
    count, observe = _meters(source, status)
    count()
    observe(seconds)


def _others(intake: Intake) -> Starlette:
    """Every route that is not hot."""
    click, page = unsubscribe.routes(
        intake.secret, intake.now, lambda event: intake.gateway.publish([message(event)]))  # fmt: skip
    routes = [
        Route("/u/{token}", _guarded("unsubscribe", click), methods=["POST"]),
        Route("/u/{token}", _guarded("unsubscribe", page), methods=["GET"]),
        Route("/openapi.json", _fixed(openapi.document()), methods=["GET"]),
        Route("/healthz", _fixed({"status": "alive"}), methods=["GET"]),
        Route("/readyz", _ready(intake), methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


def _guarded(name: str, answer: Answer) -> Answer:
    async def guarded(request: Request) -> Response:
        return await _answered(name, lambda: answer(request))

    return guarded


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


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405 or request.url.path in {*PATHS, *(f"/v1/{name}" for name in READERS)}:
        return problem_response(_WRONG_METHOD)
    return problem_response(_NOT_FOUND if status == 404 else FAILED)
