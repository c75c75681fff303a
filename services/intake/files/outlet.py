"""The way to the log for lists: never far ahead of whoever reads there, so that live leads find a short queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from services.intake.sources.source import Accepts
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Producer

T = TypeVar("T")
AHEAD, AHEAD_S, LEAST_AHEAD = 300, 0.2, 60
"""How far ahead of the services that judge its records an import may be: in records, in seconds, and at least."""
READERS: Mapping[Accepts, Sequence[tuple[str, str]]] = {
    "leads": (("caudal.qualify", "leads.received.v1"), ("caudal.router", "leads.qualified.v1")),
    "activities": (("caudal.qualify", "activities.received.v1"),),
    "consents": (("caudal.nurture", "consents.received.v1"),),
    "outcomes": (("caudal.router", "outcomes.received.v1"),),
    "results": (("caudal.analytics", "campaigns.results.v1"),),
}
"""Which groups read what a list brings, each with its topic."""
_GATHERED = 1 / 3  # of what may be ahead: rows worth a portion of their own
_SMOOTHED_S = 1.0
_LOOK_AGAIN_S = 0.02
_SILENT_S = 15.0
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Distance(Protocol):
    """How far the readers are behind."""

    def records(self) -> int:
        """Records that the last of them has still to read; may raise `Unavailable`."""


class PacedOutlet:
    """Sends portions (`importing.Outlet`). `waiting` hears once when nobody has read for a while."""

    def __init__(
        self,
        producer: Producer,
        distance: Distance,
        stopped: Callable[[], bool],
        waiting: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer, self._distance, self._stopped, self._waiting = producer, distance, stopped, waiting
        self._clock = clock
        self._looked_at: float | None = None
        self._due, self._speed, self._most = 0, AHEAD / AHEAD_S, float(AHEAD)

    def room(self) -> int:
        """See `Outlet`."""
        began, told, least = self._clock(), False, None
        while not self._stopped():
            behind = _patiently(self._distance.records)
            self._learn(behind)
            if behind <= self._most * (1 - _GATHERED):
                room = int(self._most - behind)
                self._due += room
                return room
            if least is None or behind < least:
                began, least = self._clock(), behind
            if not told and self._clock() - began > _SILENT_S:
                told = True
                self._waiting(behind)
            time.sleep(_LOOK_AGAIN_S)
        return 0

    def _learn(self, behind: int) -> None:
        """Note how fast the services read, so that what lies before a live lead is read within `AHEAD_S`."""
        now = self._clock()
        if self._looked_at is not None and now > self._looked_at:
            passed = now - self._looked_at
            speed = max(0, self._due - behind) / passed
            self._speed += (speed - self._speed) * min(1.0, passed / _SMOOTHED_S)
            self._most = min(AHEAD, max(LEAST_AHEAD, self._speed * AHEAD_S))
        self._looked_at, self._due = now, behind

    def publish(self, messages: Sequence[Message]) -> None:
        """See `Outlet`. What was not acknowledged goes again, under the same ids."""
        _patiently(lambda: self._producer.publish(messages, lambda: True))


def _patiently(attempt: Callable[[], T]) -> T:
    """What the attempt gives; while Kafka does not answer, once more after each pause. Raises `Unavailable` then."""
    for pause in _PAUSES_S:
        try:
            return attempt()
        except Unavailable:
            time.sleep(pause)
    return attempt()
