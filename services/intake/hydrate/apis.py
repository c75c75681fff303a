"""The APIs that leads are read from, by the name that a source's `hydrate` says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from services.intake.hydrate import graph, hubspot, linkedin
from services.intake.hydrate.answer import Answer, Get, Gone, Problem, Reply, by_status
from services.intake.sources.source import Hydrate

_URLS = {"meta": graph.URL, "linkedin": linkedin.URL, "hubspot": hubspot.URL}
_LISTED = {"meta": graph.listed, "linkedin": linkedin.listed, "hubspot": hubspot.listed}


def base_url(api: Hydrate) -> str:
    """Where the API is, without a slash at the end."""
    return (api.url or _URLS[api.api]).rstrip("/")


def proving(get: Get, api: Hydrate, token: str, secrets: Sequence[str]) -> Get:
    """The same, proving to Meta that we have the secret of the token's app. `secrets`: the newest first, or none."""
    return graph.proving(get, token, secrets[0]) if api.api == "meta" and secrets else get


def read(get: Get, api: Hydrate, token: str, notice_id: str, now: datetime) -> Answer:
    """The lead behind an id. Raises `Unavailable` where no whole answer came."""
    match api.api:
        case "meta":
            return graph.read(get, base_url(api), token, notice_id, now)
        case "linkedin":
            return linkedin.read(get, base_url(api), token, notice_id, now)
        case "hubspot":
            return hubspot.read(get, base_url(api), token, notice_id, now, api.properties)


def listed(
    get: Get, api: Hydrate, token: str, scope: tuple[str, ...], since: datetime, until: datetime, now: datetime
) -> Iterator[dict[str, str] | Problem | Gone]:
    """What a notice of each lead would say, of those created from `since` to before `until`; a problem ends it.

    `scope`: Meta's form ids (none: all of the page), LinkedIn's owners (URNs). Raises `Unavailable`.
    """
    return _LISTED[api.api](get, base_url(api), token, scope, since, until, now)


def problem(api: Hydrate, reply: Reply, now: datetime) -> Problem | Gone | None:
    """What is wrong with an answer; None for a good one."""
    return graph.problem(reply, now) if api.api == "meta" else by_status(reply, now)
