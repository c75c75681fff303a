"""One client of the broker, and the records on their way through it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.runtime.errors import Unavailable
from services.runtime.kafka.handover import addressed, error_in, hand_over
from services.runtime.transport import Message, Partition

_TOGETHER_S = 0.003  # the first record waits so long for company: fewer, larger requests, each of which wakes a thread
_LONGEST_WAIT_S = 0.02  # then it goes, though others are still in the air


@dataclass(slots=True)
class Request:
    """Records that are answered together."""

    answer: asyncio.Future[None]
    left: int
    error: str | None = None


@dataclass(slots=True)
class Flight:
    """What was handed over at once, until the last batch of it has its outcome."""

    batches: list[tuple[Any, list[Request]]]
    left: int
    deadline: asyncio.TimerHandle


class Line:
    """Records wait while others are in the air, then go together: batches grow with the load by themselves.

    Everything but `_report` runs on the loop. `told` hears how each request ended, `silent` that records had no outcome
    within `answer_s` seconds: a client forgets some of its records when a broker dies.
    """

    def __init__(
        self, producer: Any, answer_s: float, told: Callable[[Line, str | None], None], silent: Callable[[Line], None]
    ) -> None:
        self.producer, self.in_flight = producer, 0
        self._answer_s, self._told, self._silent = answer_s, told, silent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[Partition, bytes, Request]] = []
        self._departure: asyncio.TimerHandle | None = None
        self._held = False
        self._in_air = 0
        self._outcomes: deque[tuple[Flight, list[Request], str | None]] = deque()
        self._woken = False

    def take(self, messages: Sequence[Message]) -> asyncio.Future[None]:
        """Done once all are acknowledged, `Unavailable` when any may not be. Raises what the client raises."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        records = addressed(self.producer, messages)
        request = Request(loop.create_future(), len(records))
        self._waiting += [(partition, content, request) for partition, content in records]
        self.in_flight += len(records)
        if self._departure is None:
            self._departure = loop.call_later(_TOGETHER_S, self._due)
        return request.answer

    def _due(self) -> None:
        if self._in_air:
            self._held = True
            self._departure = asyncio.get_running_loop().call_later(_LONGEST_WAIT_S - _TOGETHER_S, self._depart)
        else:
            self._depart()

    def _depart(self) -> None:
        waiting = self._unload()
        try:
            batches = hand_over(self.producer, waiting)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, nobody may wait for an answer for ever
            self._end([request for _, _, request in waiting], type(error).__name__)
            return
        deadline = asyncio.get_running_loop().call_later(self._answer_s, self._overdue, batches)
        flight = Flight(batches, len(batches), deadline)
        self._in_air += 1
        for future, requests in batches:
            future.add_both(self._report, flight, requests)

    def _unload(self) -> list[tuple[Partition, bytes, Request]]:
        waiting, self._waiting, self._held = self._waiting, [], False
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None
        return waiting

    def _report(self, flight: Flight, requests: list[Request], outcome: Any) -> None:
        """Runs in the client's thread: queue the outcome, wake the loop once for all that are queued."""
        self._outcomes.append((flight, requests, error_in(outcome)))
        if not self._woken and self._loop is not None:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._woken = False  # before the queue is emptied, so that what comes meanwhile wakes the loop again
        while self._outcomes:
            flight, requests, error = self._outcomes.popleft()
            flight.left -= 1
            if not flight.left:
                flight.deadline.cancel()
                self._in_air -= 1
            self._end(requests, error)
        if self._held and not self._in_air:
            self._depart()

    def _overdue(self, batches: list[tuple[Any, list[Request]]]) -> None:
        """The client gives no answers: nothing more is handed to it, and what waits fails with what is in the air."""
        self._silent(self)
        forgotten = [request for future, requests in batches if not future.is_done for request in requests]
        self._end([*forgotten, *(request for _, _, request in self._unload())], "no answer at all")

    def _end(self, requests: Sequence[Request], error: str | None) -> None:
        """Of each request one record has its outcome."""
        self.in_flight -= len(requests)
        for request in requests:
            request.left -= 1
            request.error = request.error or error
            if request.left == 0 and not request.answer.done():
                self._told(self, request.error)
                if request.error is None:
                    request.answer.set_result(None)
                else:
                    request.answer.set_exception(Unavailable(f"Kafka did not acknowledge: {request.error}"))
