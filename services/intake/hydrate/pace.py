"""When a lead is asked for: budget of a source, back-off with jitter, patience. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, how often and how long.

    `patience`: how long a lead is tried before it is given up, by its problem. `burst`: how much of its budget a source
    may use at once. `batch`: most leads of one source in one claim.
    """

    first_wait: timedelta = timedelta(seconds=5)
    longest_wait: timedelta = timedelta(minutes=5)
    probe_every: timedelta = MINUTE
    burst: timedelta = MINUTE
    batch: int = 20
    patience: dict[str, timedelta] = field(
        default_factory=lambda: {"not_found": 30 * MINUTE, "denied": DAY, "down": 3 * DAY, "failed": HOUR}
    )


def wait(pace: Pace, name: str, tries: int) -> timedelta:
    """How long to wait after so many failures in a row (1 is the first): doubling, between half and the whole of it.

    The jitter follows from the name and the number, so that the same question has the same answer.
    """
    whole = min(pace.first_wait * (1 << min(tries - 1, 30)), pace.longest_wait)
    return whole * (0.5 + crc32(f"{name} {tries}".encode()) / 2**33)


def budget(pace: Pace, paced_until: datetime, per_hour: int, now: datetime) -> int:
    """How many leads a source may be asked for now, at most a batch."""
    start = max(paced_until, now - pace.burst)
    return max(0, min(pace.batch, int((now - start) / (HOUR / per_hour))))


def spent(pace: Pace, paced_until: datetime, per_hour: int, now: datetime, asked: int) -> datetime:
    """Up to where the budget is used after so many questions."""
    return max(paced_until, now - pace.burst) + asked * (HOUR / per_hour)
