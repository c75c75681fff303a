"""The way to the log for lists: never far ahead of whoever reads there, so that live leads find a short queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from services.intake.files.mapping import What
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Producer

T = TypeVar("T")
AHEAD = 300
"""Most records that the service which judges them has still to read."""
READERS: Mapping[What, Sequence[tuple[str, str]]] = {
    "leads": (("caudal.qualify", "leads.received.v1"), ("caudal.router", "leads.qualified.v1")),
    "activities": (("caudal.qualify", "activities.received.v1"),),
    "consents": (("caudal.nurture", "consents.received.v1"),),
    "outcomes": (("caudal.router", "outcomes.received.v1"),),
}
"""Which groups read what a list brings, each with its topic."""
_LEAST = 100  # rows worth a portion of their own
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
        self, producer: Producer, distance: Distance, stopped: Callable[[], bool], waiting: Callable[[int], None]
    ) -> None:
        self._producer, self._distance, self._stopped, self._waiting = producer, distance, stopped, waiting

    def room(self) -> int:
        """See `Outlet`."""
        began, told, least = time.monotonic(), False, None
        while not self._stopped():
            behind = _patiently(self._distance.records)
            if behind <= AHEAD - _LEAST:
                return AHEAD - behind
            if least is None or behind < least:
                began, least = time.monotonic(), behind
            if not told and time.monotonic() - began > _SILENT_S:
                told = True
                self._waiting(behind)
            time.sleep(_LOOK_AGAIN_S)
        return 0

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
