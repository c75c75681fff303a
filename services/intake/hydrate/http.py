"""How a source's API is asked over HTTP: one GET, no redirect, bounded in time and size."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from services.intake.hydrate.answer import Get, Reply
from services.runtime.errors import Unavailable

MOST_BYTES = 262_144


def getter(timeout_s: float, most_bytes: int = MOST_BYTES) -> Get:
    """A `Get` whose answers come within `timeout_s` seconds and have at most `most_bytes`."""

    def get(url: str, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
            answer = connection.getresponse()
            body = _bounded(answer, time.monotonic() + timeout_s, most_bytes)
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"no answer from the API: {type(error).__name__}") from error
        finally:
            connection.close()

    return get


def _bounded(answer: http.client.HTTPResponse, deadline: float, most_bytes: int) -> bytes:
    pieces = bytearray()
    while piece := answer.read1(65_536):
        pieces += piece
        if len(pieces) > most_bytes or time.monotonic() > deadline:
            raise Unavailable(f"an answer of more than {most_bytes} bytes, or too slow")
    return bytes(pieces)
