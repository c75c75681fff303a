"""How a service for whose events nobody waits lets others have the processors first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import psutil

BUSY_BELOW = 10.0
"""Per cent of the processors' time: with less of it idle somebody else would have used what we use."""
RESTS = 5.0
LONGEST_S = 1.0


class Times(Protocol):
    """How the processors' time was spent since the last look, in per cent."""

    idle: float


def spent_since() -> Times:
    """All processors of this machine since the last call."""
    return cast(Times, psutil.cpu_times_percent(None))


@dataclass(slots=True)
class Courtesy:
    """Rests after each batch while the processors are busy.

    So in a rush, or beside an import, leads are qualified and assigned first and counted later. A sixth of the time is
    worked in any case, so that nobody falls behind for ever. A service with a machine of its own never rests: one
    worker keeps only one processor busy.
    """

    spent: Callable[[], Times] = spent_since

    def rest_s(self, worked_s: float) -> float:
        """How long to rest after a batch that took so long, in seconds."""
        return min(LONGEST_S, worked_s * RESTS) if self.spent().idle < BUSY_BELOW else 0.0
