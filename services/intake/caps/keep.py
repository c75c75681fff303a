"""Which of the leads that were read may go on, by their source's caps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic_core import from_json

from services.intake.arrival import Accepted, Refused, refused
from services.intake.caps.counter import Counter
from services.intake.caps.windows import Window
from services.intake.sources.source import Source
from services.runtime.metrics import INTAKE_CAPPED


async def within_caps(
    count: Counter, source: Source, results: Sequence[Accepted | Refused], now: datetime
) -> Sequence[Accepted | Refused]:
    """The results, with a refusal in place of each lead that finds its cap full. Raises `Unavailable`.

    A place is taken before the lead is published: where that fails, its retry has the same id and keeps the place.
    Test leads and what is no lead take none.
    """
    leads = capped(source, results)
    return kept(source, results, await count(source, leads, now)) if leads else results


def capped(source: Source, results: Sequence[Accepted | Refused]) -> list[str]:
    """Ids of the leads that need a place in the windows of their source's caps; none where it has no caps."""
    if not source.caps:
        return []
    return [result.id for result in results if isinstance(result, Accepted) and _is_lead(result)]


def kept(
    source: Source, results: Sequence[Accepted | Refused], full: Mapping[str, Window]
) -> Sequence[Accepted | Refused]:
    """The results, with a refusal in place of each lead whose window is full."""
    for window in full.values():
        INTAKE_CAPPED.labels(source.name, window.per).inc()
    return [_kept(result, full) for result in results] if full else results


def _kept(result: Accepted | Refused, full: Mapping[str, Window]) -> Accepted | Refused:
    window = full.get(result.id) if isinstance(result, Accepted) and _is_lead(result) else None
    return refused("", "cap_reached", window.full) if window else result


def _is_lead(result: Accepted) -> bool:
    values = (event.value for event in result.events if event.type == "lead.received")
    return any(value is not None and not from_json(value)["is_test"] for value in values)
