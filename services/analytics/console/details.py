"""What an event of a lead's story says beside its reasons: which step, which stage, how much."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.topics import LEADS_ASSIGNED, LEADS_QUALIFIED
from services.analytics.console.words import Tongue
from services.analytics.timeline import Entry

TOLD_BY_REASONS = frozenset((LEADS_QUALIFIED.name, LEADS_ASSIGNED.name))
FIELDS = ("message", "activity", "subject", "sequence", "step", "channel", "stage", "reason", "note")


def details(entry: Entry, tongue: Tongue) -> Iterator[tuple[str, str]]:
    """Label and text of each field that a person wants to see."""
    if entry.topic in TOLD_BY_REASONS:
        return
    for name in FIELDS:
        if entry.data.get(name) is not None:
            yield tongue.t(f"detail_{name}"), tongue.said(entry.data[name])
    value = entry.data.get("value")
    if isinstance(value, int | float):
        yield tongue.t("detail_value"), f"{tongue.number(value, 2)} {entry.data.get('currency') or ''}".rstrip()
