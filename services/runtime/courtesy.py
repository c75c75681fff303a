"""How a service for whose events nobody waits lets others have the processors first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

BUSY_BELOW = 10.0
"""Per cent of the processors' time: with less of it idle somebody else would have used what we use."""
RESTS = 5.0
LONGEST_S = 1.0


def idle_since() -> float:
    """Per cent of the time of all processors of this machine that nobody used since this thread's last call.

    All of it where nothing is known: at a thread's first call, and before the system's clock has ticked again.
    """
    spent = psutil.cpu_times_percent(None)
    return spent.idle if any(spent) else 100.0


@dataclass(slots=True)
class Courtesy:
    """Rests after each batch while the processors are busy.

    So in a rush, or beside an import, leads are qualified and assigned first and counted later. A sixth of the time is
    worked in any case. A service with a machine of its own never rests if that has two processors: one worker keeps
    only one of them busy.
    """

    idle: Callable[[], float] = idle_since

    def rest_s(self, worked_s: float) -> float:
        """How long to rest after a batch that took so long, in seconds."""
        return min(LONGEST_S, worked_s * RESTS) if self.idle() < BUSY_BELOW else 0.0
