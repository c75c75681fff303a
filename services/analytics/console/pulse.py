"""One look a second for all who watch: the tables in one thread, the lags in another."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.analytics.console.lag import Lags
from services.analytics.console.live import Live

EVERY_S = 1.0
LAG_EVERY_S = 2.0
LAG_FRESH_S = 10.0
WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class Beat:
    """A look with the lags by stage, and the speed-to-lead counts of the last minutes (`window_s` of them)."""

    live: Live
    lags: Mapping[str, int]
    waits: Mapping[int, int]
    window_s: float


@dataclass(slots=True)
class Pulse:
    """Reads at most once a second, whoever asks, and not at all while nobody does. Belongs to one event loop."""

    read: Callable[[], Live]
    lags: Lags
    _beat: Beat | None = None
    _read_at: float = -EVERY_S
    _lags: Mapping[str, int] = field(default_factory=dict)
    _lag_task: asyncio.Task[None] | None = None
    _lags_asked_at: float = -LAG_EVERY_S
    _lags_known_at: float = -LAG_FRESH_S
    _history: deque[tuple[float, Mapping[int, int]]] = field(default_factory=deque)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def beat(self) -> Beat:
        """The present look; raises psycopg2 errors when the database is away."""
        async with self._lock:
            now = time.monotonic()
            self._ask_lags(now)
            if self._beat is None or now - self._read_at >= EVERY_S * 0.9:
                live = await asyncio.to_thread(self.read)
                waits, window_s = self._recent(now, live.waits)
                self._beat, self._read_at = Beat(live, self._lags, waits, window_s), now
            return self._beat

    def _recent(self, now: float, waits: Mapping[int, int]) -> tuple[Mapping[int, int], float]:
        """Counts since the oldest look of the window: histograms only grow, so their difference is the window's."""
        while self._history and now - self._history[0][0] > WINDOW_S:
            self._history.popleft()
        self._history.append((now, waits))
        since, before = self._history[0]
        return {upto: max(0, n - before.get(upto, 0)) for upto, n in waits.items()}, now - since

    def _ask_lags(self, now: float) -> None:
        """Ask in the background: a broker that is away must not hold up the page. Old answers are no answers."""
        if now - self._lags_known_at >= LAG_FRESH_S:
            self._lags = {}
        if now - self._lags_asked_at >= LAG_EVERY_S and (self._lag_task is None or self._lag_task.done()):
            self._lags_asked_at = now
            self._lag_task = asyncio.create_task(self._fetch_lags())

    async def _fetch_lags(self) -> None:
        self._lags = await asyncio.to_thread(self.lags)
        self._lags_known_at = time.monotonic()
