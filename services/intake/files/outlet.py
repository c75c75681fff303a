"""The way to the log for lists: never far ahead of whoever reads there, so that live leads find a short queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.intake.sources.source import Accepts
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Producer

T = TypeVar("T")
AHEAD, AHEAD_S, LEAST_AHEAD = 300, 0.2, 120
"""How far ahead of the services that judge its records an import may be: in records, in seconds, and at least."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A group that reads what a list brings, and the topic; it may be so many times as far behind as the first."""

    group: str
    topic: str
    times: float = 1.0


READERS: Mapping[Accepts, Sequence[Reading]] = {
    "leads": (
        Reading("caudal.qualify", "leads.received.v1"),
        # It gets what qualify took at once all at once: held to the same, each of them would wait for the other.
        Reading("caudal.router", "leads.qualified.v1", 2.0),
    ),
    "activities": (Reading("caudal.qualify", "activities.received.v1"),),
    "consents": (Reading("caudal.nurture", "consents.received.v1"),),
    "outcomes": (Reading("caudal.router", "outcomes.received.v1"),),
    "results": (Reading("caudal.analytics", "campaigns.results.v1"),),
}
"""Who reads what a list brings."""
_GATHERED = 1 / 3  # of what may be ahead: rows worth a portion of their own
_SMOOTHED_S = 1.0
_LOOK_AGAIN_S = 0.02
_SILENT_S = 15.0
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Distance(Protocol):
    """How far the readers are behind."""

    def records(self) -> Mapping[str, int]:
        """Records that each group has still to read; may raise `Unavailable`."""


class PacedOutlet:
    """Sends portions (`importing.Outlet`). `waiting` hears once when nobody has read for a while."""

    def __init__(
        self, producer: Producer, distance: Distance, readers: Sequence[Reading], stopped: Callable[[], bool],
        waiting: Callable[[int], None], clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._producer, self._distance, self._readers = producer, distance, readers
        self._stopped, self._waiting, self._clock, self._sleep = stopped, waiting, clock, sleep
        self._looked_at: float | None = None
        self._due, self._speed, self._most = 0, AHEAD / AHEAD_S, float(AHEAD)

    def room(self) -> int:
        """See `Outlet`."""
        began, told, least = self._clock(), False, None
        while not self._stopped():
            behind = self._behind()
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
            self._sleep(_LOOK_AGAIN_S)
        return 0

    def _behind(self) -> int:
        """Records that the last of the readers has still to read, as the first would count them."""
        records = _patiently(self._distance.records)
        return max(int(records[reader.group] / reader.times) for reader in self._readers)

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
