"""What a browser sees after it posted a form: the page that the form asks for, where that is allowed, else ours."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from services.intake.sources.source import Source
from services.intake.values import text

_PAGE = files("services.intake").joinpath("thanks.html").read_text("utf-8")


def thanked(source: Source, content: Mapping[str, Any], headers: Mapping[str, str]) -> Response | None:
    """A redirect or a page where the forms of a source, or this one, are posted by browsers; None for all others."""
    if source.redirect_field is None:
        seen = "text/html" in headers.get("accept", "")
        return Response(_PAGE, 200, None, "text/html; charset=utf-8") if seen else None
    wanted = text(content.get(source.redirect_field), 2000)
    if wanted and allowed(wanted, source.redirect_hosts):
        return Response(b"", 302, {"location": wanted})
    return Response(_PAGE, 200, None, "text/html; charset=utf-8")


def allowed(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether a browser may be sent there: http or https, and a host of the list, written in its plain form."""
    if not url.isascii() or any(c in url for c in "\\\r\n\t ") or "@" in url.partition("//")[2].partition("/")[0]:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname in hosts
    except ValueError:
        return False
