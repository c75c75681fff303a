"""Backfill: leads listed in bulk at their source become the notices that should have come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from services.intake.arrival import Accepted, Arrival
from services.intake.hydrate import apis
from services.intake.hydrate.answer import Get, Gone, Limited, Problem, Reply
from services.intake.notices import read_notice
from services.intake.sources.source import Hydrate, Source
from services.runtime.verdict import Outgoing

PAUSE_S = 30.0
MOST_WAITS = 20


def notices(
    get: Get, source: Source, token: str, scope: tuple[str, ...], since: datetime, until: datetime, now: datetime
) -> Iterator[Outgoing | Problem | Gone]:
    """A `lead.notified` for each lead created from `since` to before `until`, with the id that a notice of it has.

    A problem ends it; what was told before stands, and the same once more adds nothing. Raises `Unavailable`.
    """
    assert source.hydrate is not None, "asked before"  # noqa: S101  # narrows the type
    for told in apis.listed(get, source.hydrate, token, scope, since, until, now):
        if not isinstance(told, dict):
            yield told
            return
        result = read_notice(Arrival(source, told, "", None, now, now, ""))
        if isinstance(result, Accepted):
            yield from result.events


def patient(get: Get, api: Hydrate, now: Callable[[], datetime], sleep: Callable[[float], None]) -> Get:
    """The same, that waits as long as the API asks when it was asked too much."""

    def asked(url: str, headers: Mapping[str, str]) -> Reply:
        for _ in range(MOST_WAITS):
            reply = get(url, headers)
            said = apis.problem(api, reply, now())
            if not isinstance(said, Limited):
                return reply
            sleep(PAUSE_S if said.after_s is None else said.after_s)
        return reply

    return asked
