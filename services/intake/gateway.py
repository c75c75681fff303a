"""The way to the log for HTTP: many requests at once, each answered when the broker has acknowledged its records."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.intake.line import Line
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import throw_away
from services.runtime.transport import Message

log = structlog.get_logger()
_PROBE_EVERY_S = 1.0
_REQUEST_MS, _DELIVERY_MS = 4000, 4500  # common senders give up after 5 s
_ANSWER_S = 4.8  # when a broker dies the client forgets some of its records: they would never be answered
_BLOCK_MS = 20  # longest that one send may hold up the event loop, when the broker forgot a topic


class Gateway(Protocol):
    """Writes to the log for the HTTP side."""

    @property
    def ready(self) -> bool:
        """Whether the broker took the last records."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; raises `Unavailable` when any may not be."""


class KafkaGateway:
    """kafka-python behind asyncio.

    `publish` hands records to the producer's own thread and awaits; acknowledgements come back in one wake-up of the
    loop per batch. At most `limit` records are unacknowledged, but for one
    request that has more by itself. After a failure one request a second goes through as a
    probe, all others are refused at once, until the broker acknowledges again.
    """

    def __init__(self, servers: str, topics: Sequence[str], client_id: str, limit: int = 10_000) -> None:
        self._servers, self._topics, self._client_id, self._limit = servers, topics, client_id, limit
        self._line: Line | None = None
        self._broken_until: float | None = None
        self._closing = threading.Event()
        self._opener = threading.Thread(target=self._open, name="gateway", daemon=True)

    def start(self) -> None:
        """Begin to connect; until that has worked every `publish` raises `Unavailable`."""
        self._opener.start()

    @property
    def ready(self) -> bool:
        """See `Gateway`."""
        return self._line is not None and self._broken_until is None

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Gateway`."""
        line = self._admit(len(messages))
        try:
            answer = line.take(messages)
        except (KafkaError, AssertionError, OSError, ValueError) as error:
            self._note(type(error).__name__)
            raise Unavailable(f"Kafka took no record: {type(error).__name__}") from error
        await answer

    def _admit(self, records: int) -> Line:
        if self._line is None:
            raise Unavailable("the broker has not answered yet")
        if self._line.in_flight and self._line.in_flight + records > self._limit:
            raise Unavailable(f"{self._line.in_flight} records wait for their acknowledgement")
        if self._broken_until is not None:
            now = time.monotonic()
            if now < self._broken_until:
                raise Unavailable("the broker does not acknowledge")
            self._broken_until = now + _PROBE_EVERY_S
        return self._line

    def _begin_anew(self, stale: Line) -> None:
        """Throw away a client that gives no answers any more, once, and open another beside the loop."""
        if stale is self._line:
            self._note("no answer")
            self._line = None
            self._opener = threading.Thread(target=self._open, args=(stale.producer,), name="gateway", daemon=True)
            self._opener.start()

    def _told(self, line: Line, error: str | None) -> None:
        if line is self._line:
            self._note(error)

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
        while not self._closing.is_set() and self._line is None:
            try:
                producer = producer or KafkaProducer(
                    bootstrap_servers=self._servers.split(","), client_id=self._client_id, acks="all",
                    delivery_timeout_ms=_DELIVERY_MS, request_timeout_ms=_REQUEST_MS,
                    max_block_ms=_BLOCK_MS, bootstrap_timeout_ms=5000,
                    reconnect_backoff_max_ms=1000, allow_auto_create_topics=False, metrics_enabled=False,
                )  # fmt: skip
                for topic in self._topics:
                    producer.partitions_for(topic)  # so that no later send waits for metadata
                self._line = Line(producer, _ANSWER_S, self._told, self._begin_anew)
                log.info("gateway.open")
            except Exception as error:  # noqa: BLE001 - without this thread there would be 503 for ever
                log.debug("gateway.waiting", error=type(error).__name__)
                self._closing.wait(0.1)
        if self._line is None and producer is not None:
            producer.close(timeout=0)

    def close(self) -> None:
        """Send what is handed over, see its acknowledgements, let go."""
        self._closing.set()
        self._opener.join(timeout=6)
        if self._line is not None:
            with suppress(KafkaError, OSError):
                self._line.producer.flush(timeout=_DELIVERY_MS / 1000 + 1)
                self._line.producer.close(timeout=3)
