"""What is counted of an import's rows beside how many there are: consents, and people nobody can reach."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import from_json

from schemas.topics import LEADS_RECEIVED
from services.intake.arrival import Accepted, Refused
from services.intake.files.jobs import Counts
from services.intake.values import answered

_REACH = frozenset({"email", "phone"})


def tally(counts: Counts, accepted: Accepted) -> None:
    """Add what one row holds; reports other than leads hold nothing of the kind."""
    event = accepted.events[0]
    if event.topic is not LEADS_RECEIVED:
        return
    lead = from_json(event.value or "{}")
    for consent in lead["consents"]:
        counts.granted += consent["granted"]
        counts.refused += not consent["granted"]
    counts.unclear += unclear(lead["answers"])
    counts.unreachable += _REACH.isdisjoint(lead["contact"])


def unclear(answers: Mapping[str, str]) -> bool:
    """Whether a consent column said neither yes nor no."""
    return "consent" in answers and answered(answers["consent"]) is None


def unreachable(rejected: Refused) -> bool:
    """Whether a row was rejected because nobody can be reached by it."""
    return any(fault.code == "required" and fault.field in _REACH for fault in rejected.faults)
