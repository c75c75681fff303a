"""One-click unsubscribe (RFC 8058): POST withdraws, GET only shows a page that asks; no table is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from schemas import tokens
from schemas.events.event import derived_id
from schemas.events.people import ConsentReceived
from schemas.topics import CONSENTS_RECEIVED
from services.intake.answers import RETRY_AFTER_S
from services.intake.language import language_of
from services.runtime.errors import Unavailable
from services.runtime.verdict import Outgoing

Answer = Callable[[Request], Awaitable[Response]]
_COPY = {
    "en": {
        "title": "Unsubscribe", "ask": "Do you want to stop receiving these messages?", "button": "Yes, unsubscribe me",
        "done": "You will not receive these messages any more.", "unknown": "This link is not valid.",
        "later": "This did not work just now. Please try again in a moment.",
    },
    "es": {
        "title": "Darse de baja", "ask": "¿Quiere dejar de recibir estos mensajes?", "button": "Sí, darme de baja",
        "done": "Ya no recibirá estos mensajes.", "unknown": "Este enlace no es válido.",
        "later": "No ha funcionado en este momento. Inténtelo de nuevo dentro de un rato.",
    },
}  # fmt: skip
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


def routes(
    secret: str, now: Callable[[], datetime], publish: Callable[[Outgoing], Awaitable[None]]
) -> tuple[Answer, Answer]:
    """The POST and the GET of `/u/{token}`. The body of the POST says nothing more than the token: it is not read."""
    template = files(__package__).joinpath("unsubscribe.html").read_text(encoding="utf-8")

    async def click(request: Request) -> Response:
        withdrawal = withdrawn(secret, request.path_params["token"], now())
        if withdrawal is None:
            return _page(template, request, "unknown", 404)
        try:
            await publish(withdrawal)
        except Unavailable:
            return _page(template, request, "later", 503, {"retry-after": str(RETRY_AFTER_S)})
        human = "text/html" in request.headers.get("accept", "")
        return _page(template, request, "done", 200) if human else Response(b"", 200, _HEADERS, "text/plain")

    async def page(request: Request) -> Response:
        if tokens.verify(secret, request.path_params["token"]) is None:
            return _page(template, request, "unknown", 404)
        return _page(template, request, "ask", 200)

    return click, page


def withdrawn(secret: str, token: str, now: datetime) -> Outgoing | None:
    """The withdrawal that a token stands for, or None for a token that is not ours.

    Its id holds the UTC second: a repeat within it is the same event, any later one counts again, because consent may
    have been given in between and a withdrawal twice changes nothing.
    """
    signed = tokens.verify(secret, token)
    if signed is None:
        return None
    address, channel, purpose = signed
    event_id = derived_id(f"{address}|{channel}|{purpose}", f"unsubscribe|{int(now.timestamp())}")
    event = ConsentReceived(
        occurred_at=now, recorded_at=now, cause_id=event_id, correlation_id=event_id, address=address, channel=channel,
        purpose=purpose, source="unsubscribe", reason="one_click", proof="signed unsubscribe link",
    )  # fmt: skip
    value = event.model_dump_json(exclude_none=True)
    return Outgoing(CONSENTS_RECEIVED, "consent.withdrawn", address, event_id, 0, value, event)


def _page(template: str, request: Request, what: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """A page made of our own copy only: nothing of the request is repeated on it."""
    language = language_of(request.headers.get("accept-language", ""), _COPY)
    copy = _COPY[language]
    form = f'<form method="post"><button>{copy["button"]}</button></form>' if what == "ask" else ""
    html = template.format(language=language, title=copy["title"], text=copy[what], form=form)
    return Response(html, status, _HEADERS | (headers or {}), "text/html; charset=utf-8")
