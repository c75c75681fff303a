"""The way to the log for HTTP: many requests at once, each answered when the broker has acknowledged its records."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import KeyPartitioner, throw_away
from services.runtime.transport import Message

log = structlog.get_logger()
_PROBE_EVERY_S = 1.0
_REQUEST_MS, _DELIVERY_MS = 4000, 4500  # common senders give up after 5 s
_ANSWER_S = 4.8  # when a broker dies the client forgets some of its records: they would never be answered
_LINGER_MS = 5  # lets the records of concurrent requests share one produce request; every new batch wakes a thread
_BLOCK_MS = 20  # longest that one send may hold up the event loop, when the broker forgot a topic
_SENDS_AT_ONCE = 100  # records of one batch; then others get their turn on the loop


class Gateway(Protocol):
    """Writes to the log for the HTTP side."""

    @property
    def ready(self) -> bool:
        """Whether the broker took the last records."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; raises `Unavailable` when any may not be."""


@dataclass(slots=True)
class _Request:
    answer: asyncio.Future[None]
    left: int
    producer: Any
    error: str | None = None


class KafkaGateway:
    """kafka-python behind asyncio.

    `publish` hands records to the producer's own thread and awaits; acknowledgements come back in one wake-up of the
    loop per batch. At most `limit` records are unacknowledged. After a failure one request a second goes through as a
    probe, all others are refused at once, until the broker acknowledges again.
    """

    def __init__(self, servers: str, topics: Sequence[str], client_id: str, limit: int = 10_000) -> None:
        self._servers, self._topics, self._client_id, self._limit = servers, topics, client_id, limit
        self._producer: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight = 0
        self._broken_until: float | None = None
        self._outcomes: deque[tuple[_Request, str | None]] = deque()
        self._woken = False
        self._closing = threading.Event()
        self._opener = threading.Thread(target=self._open, name="gateway", daemon=True)

    def start(self) -> None:
        """Begin to connect; until that has worked every `publish` raises `Unavailable`."""
        self._opener.start()

    @property
    def ready(self) -> bool:
        """See `Gateway`."""
        return self._producer is not None and self._broken_until is None

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Gateway`."""
        self._admit(len(messages))
        loop = self._loop = self._loop or asyncio.get_running_loop()
        request = _Request(loop.create_future(), len(messages), self._producer)
        self._in_flight += len(messages)
        for n, m in enumerate(messages):
            if n and n % _SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                future = request.producer.send(m.topic, value=m.value, key=m.key, headers=m.headers)
            except (KafkaError, AssertionError, OSError, ValueError) as error:
                if request.producer is self._producer:
                    self._in_flight -= len(messages) - n
                self._note(type(error).__name__)
                raise Unavailable(f"Kafka took no record: {type(error).__name__}") from error
            future.add_both(self._report, request)
        try:
            await asyncio.wait_for(request.answer, _ANSWER_S)
        except TimeoutError:
            self._begin_anew(request.producer)
            raise Unavailable("Kafka gave no answer at all") from None

    def _begin_anew(self, stale: Any) -> None:
        """Throw away a client that gives no answers any more, once, and open another beside the loop."""
        if stale is self._producer:
            self._note("no answer")
            self._producer, self._in_flight = None, 0
            self._opener = threading.Thread(target=self._open, args=(stale,), name="gateway", daemon=True)
            self._opener.start()

    def _admit(self, records: int) -> None:
        if self._producer is None:
            raise Unavailable("the broker has not answered yet")
        if self._in_flight + records > self._limit:
            raise Unavailable(f"{self._in_flight} records wait for their acknowledgement")
        if self._broken_until is not None:
            now = time.monotonic()
            if now < self._broken_until:
                raise Unavailable("the broker does not acknowledge")
            self._broken_until = now + _PROBE_EVERY_S

    def _report(self, request: _Request, outcome: Any) -> None:
        """Runs in the producer's thread: queue the outcome, wake the loop once for all that are queued."""
        self._outcomes.append((request, type(outcome).__name__ if isinstance(outcome, BaseException) else None))
        if not self._woken and self._loop is not None:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._woken = False  # before the queue is emptied, so that what comes meanwhile wakes the loop again
        while self._outcomes:
            request, error = self._outcomes.popleft()
            if request.producer is self._producer:
                self._in_flight -= 1
            request.left -= 1
            request.error = request.error or error
            if request.left == 0 and not request.answer.done():
                self._note(request.error)
                if request.error is None:
                    request.answer.set_result(None)
                else:
                    request.answer.set_exception(Unavailable(f"Kafka did not acknowledge: {request.error}"))

    def _note(self, error: str | None) -> None:
        if error is None and self._broken_until is not None:
            self._broken_until = None
            log.info("gateway.recovered")
        elif error is not None:
            if self._broken_until is None:
                log.warning("gateway.broken", error=error)
            self._broken_until = time.monotonic() + _PROBE_EVERY_S

    def _open(self, stale: Any = None) -> None:
        producer: Any = None
        if stale is not None:
            throw_away(stale)
        while not self._closing.is_set() and self._producer is None:
            try:
                producer = producer or KafkaProducer(
                    bootstrap_servers=self._servers.split(","), client_id=self._client_id, acks="all",
                    partitioner=KeyPartitioner(), linger_ms=_LINGER_MS, batch_size=131_072,
                    delivery_timeout_ms=_DELIVERY_MS, request_timeout_ms=_REQUEST_MS,
                    max_block_ms=_BLOCK_MS, bootstrap_timeout_ms=5000,
                    reconnect_backoff_max_ms=1000, allow_auto_create_topics=False, metrics_enabled=False,
                )  # fmt: skip
                for topic in self._topics:
                    producer.partitions_for(topic)  # so that no later send waits for metadata
                self._producer = producer
                log.info("gateway.open")
            except (KafkaError, AssertionError, OSError) as error:
                log.debug("gateway.waiting", error=type(error).__name__)
                self._closing.wait(0.1)
        if self._producer is None and producer is not None:
            producer.close(timeout=0)

    def close(self) -> None:
        """Send what is handed over, see its acknowledgements, let go."""
        self._closing.set()
        self._opener.join(timeout=6)
        if self._producer is not None:
            with suppress(KafkaError, OSError):
                self._producer.flush(timeout=_DELIVERY_MS / 1000 + 1)
                self._producer.close(timeout=3)
