"""Which of our languages somebody reads."""

from __future__ import annotations

from collections.abc import Collection


def language_of(accepted: str, spoken: Collection[str]) -> str:
    """The first language that we speak, in the order of an `Accept-Language` header; English without one."""
    offered = (part.partition(";")[0].strip().lower()[:2] for part in accepted.split(","))
    return next((code for code in offered if code in spoken), "en")
