"""Consents as senders write them, read as ours: granted or refused, for what, and in which words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.intake.sources.paths import at
from services.intake.sources.source import ConsentAt, Source
from services.intake.values import answered, text

_MOST = 10


def consents_of(content: Mapping[str, Any], source: Source) -> list[dict[str, Any]]:
    """Each consent that the item speaks of; a tick that is not there says nothing."""
    return [consent for place in source.consents for consent in _at(content, place, source)][:_MOST]


def _at(content: Mapping[str, Any], place: ConsentAt, source: Source) -> Iterator[dict[str, Any]]:
    there = at(content, place.at) if place.at else content
    for one in there[:_MOST] if isinstance(there, list) else [there]:
        ticked = at(one, place.granted or place.refused or "")
        answer = answered(ticked)
        if text(ticked) is None or answer is None or (place.refused and not answer):
            continue
        purpose = (text(at(one, place.purpose_at)) if place.purpose_at else None) or place.purpose
        said = {
            "channel": place.channel,
            "purpose": source.purposes.get(purpose, purpose),
            "granted": place.refused is None and answer,
            "text": text(at(one, place.text), 2000) if place.text else None,
        }
        yield {name: value for name, value in said.items() if value is not None}
