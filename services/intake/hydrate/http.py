"""How a source's API is asked over HTTP: one GET to a checked address, bounded in time and size."""

from __future__ import annotations

from collections.abc import Mapping

from services.intake.hydrate.answer import Get, Reply
from services.intake.outbound import fetch
from services.intake.outside import Allow, Forbidden

MOST_BYTES = 262_144


def getter(timeout_s: float, allow: Allow, most_bytes: int = MOST_BYTES) -> Get:
    """A `Get` whose answers come within `timeout_s` seconds and have at most `most_bytes`."""

    def get(url: str, headers: Mapping[str, str]) -> Reply:
        answer = fetch(url, headers=headers, timeout_s=timeout_s, most_bytes=most_bytes, allow=allow)
        if isinstance(answer, Forbidden):
            return Reply(0, {}, b"", forbidden=f"{answer.why}; correct `hydrate.url`, or set CAUDAL_OUTBOUND_ALLOW")
        return Reply(answer.status, answer.headers, answer.body)

    return get
