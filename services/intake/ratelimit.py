"""How often one sender may call. Each process counts for itself: with two workers a source may send twice its rate."""

from __future__ import annotations

from collections import OrderedDict

from services.intake.sources.source import Rate

FAILURES = Rate(per_s=20 / 60, burst=20)
"""Failed authentications of one address."""
_MOST_NAMES = 10_000  # strangers make up addresses: the one unseen longest is forgotten, and begins anew


class Limiter:
    """Token buckets by name, as one moment each: when the bucket would be full again (GCRA)."""

    def __init__(self, most_names: int = _MOST_NAMES) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._most_names = most_names

    def admit(self, name: str, rate: Rate, now: float) -> float | None:
        """Take one token and return None, or the seconds until there is one; a refusal takes none. `now` in seconds.

        A clock that was set back costs a sender at most the time that fills an empty bucket.
        """
        to_fill = rate.burst / rate.per_s
        held = min(self._full_at.get(name, now), now + to_fill)
        full_at = max(now, held) + 1 / rate.per_s
        if (wait := full_at - now - to_fill) > 1e-9:
            self._full_at[name] = held
            return wait
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most_names:
            self._full_at.popitem(last=False)
        return None
