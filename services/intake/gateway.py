"""The way to the log for HTTP: many requests at once, each answered when the broker has acknowledged its records."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from services.runtime.errors import Unavailable
from services.runtime.kafka.writing import FAILURES, known_topics, name_of, open_producer
from services.runtime.transport import Message

log = structlog.get_logger()
_PROBE_EVERY_S = 1.0
_REQUEST_MS = 3000
_DELIVERY_MS = 3500  # the client looks at its clock once a second, and common senders give up after 5 s
_TOGETHER_MS = 2  # the first record waits so long for company: fewer, larger requests
_LOOK_S = 0.001  # how often acknowledgements are looked for
_LOOK_IDLE_S = 1.0  # when none is awaited: the client keeps each of its complaints until it is asked


class Gateway(Protocol):
    """Writes to the log for the HTTP side."""

    @property
    def ready(self) -> bool:
        """Whether the broker took the last records, or may take the next."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return once all are acknowledged; raises `Unavailable` when any may not be."""


@dataclass(slots=True)
class _Request:
    """Records that are answered together: how many have no outcome yet, and the first thing that went wrong."""

    gateway: KafkaGateway
    answer: asyncio.Future[None]
    left: int
    error: str | None = None

    def hear(self, error: Any, _record: object) -> None:
        """Called for each record, from `poll`, so on the loop."""
        self.left -= 1
        self.gateway.in_flight -= 1
        if error is not None:
            self.error = self.error or name_of(error)
        if self.left == 0:
            if not self.answer.done():  # whoever waited may have left
                self._tell()
            self.gateway.note(self.error)  # last: a log that cannot be written must cost nobody the answer

    def _tell(self) -> None:
        if self.error is None:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(Unavailable(f"Kafka did not acknowledge: {self.error}"))


class KafkaGateway:
    """librdkafka behind asyncio.

    Its threads send without Python; while records are in flight the loop looks for acknowledgements every millisecond,
    so that no other thread has to wake it. At most `limit` records are unacknowledged, but for one request that has
    more by itself. After a failure one request a second goes through as a probe, all others are refused at once, until
    the broker acknowledges again. Ready once all `topics` are there.
    """

    def __init__(self, servers: str, topics: Sequence[str], client_id: str, limit: int = 10_000) -> None:
        self.in_flight = 0
        self._topics, self._limit = topics, limit
        self._client = open_producer(
            servers, client_id, delivery_ms=_DELIVERY_MS, request_ms=_REQUEST_MS, linger_ms=_TOGETHER_MS,
            idempotent=False,  # what is sent twice has one id; a client that numbers records may end up refusing all
        )  # fmt: skip
        self._open = False
        self._broken_until: float | None = None
        self._next: asyncio.TimerHandle | None = None
        self._closing = threading.Event()
        self._opener = threading.Thread(target=self._await_topics, name="gateway", daemon=True)

    def start(self) -> None:
        """Begin to look for the topics; until they are there every `publish` raises `Unavailable`."""
        self._opener.start()

    @property
    def ready(self) -> bool:
        """See `Gateway`. After a failure again once the next post may find out: else none might be let through."""
        broken = self._broken_until
        return self._open and (broken is None or (not self.in_flight and time.monotonic() >= broken))

    async def publish(self, messages: Sequence[Message]) -> None:
        """See `Gateway`."""
        if not messages:
            return
        self._admit(len(messages))
        idle = not self.in_flight  # else the next look is near already
        request = _Request(self, asyncio.get_running_loop().create_future(), len(messages))
        produce = self._client.produce
        try:
            for m in messages:
                produce(m.topic, m.value, m.key, headers=[*m.headers], on_delivery=request.hear)
                self.in_flight += 1
        except FAILURES as error:
            self.note(name_of(error))
            raise Unavailable(f"Kafka took no record: {name_of(error)}") from error
        finally:
            if idle:
                self._look_in(_LOOK_S)
        await request.answer

    def note(self, error: str | None) -> None:
        """How a request ended."""
        if error is None and self._broken_until is not None:
            self._broken_until = None
            log.info("gateway.recovered")
        elif error is not None:
            news, self._broken_until = self._broken_until is None, time.monotonic() + _PROBE_EVERY_S
            if news:
                log.warning("gateway.broken", error=error)

    def _admit(self, records: int) -> None:
        if not self._open:
            raise Unavailable("the broker has not answered yet")
        if self.in_flight and self.in_flight + records > self._limit:
            raise Unavailable(f"{self.in_flight} records wait for their acknowledgement")
        if self._broken_until is not None:
            now = time.monotonic()
            if now < self._broken_until:
                raise Unavailable("the broker does not acknowledge")
            self._broken_until = now + _PROBE_EVERY_S

    def _look_in(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Hear what became of the records, and go on at the pace that suits."""
        try:
            self._client.poll(0)
        finally:  # whatever was raised while hearing: without the next look nobody would be answered any more
            self._look_in(_LOOK_S if self.in_flight else _LOOK_IDLE_S)

    def _await_topics(self) -> None:
        while not self._closing.is_set() and not self._open:
            with suppress(Unavailable):
                self._open = known_topics(self._client, 5.0).issuperset(self._topics)
            if self._open:
                log.info("gateway.open")
            else:
                self._client.poll(0)  # of what it complains; nothing was handed over yet
                self._closing.wait(0.1)

    def close(self) -> None:
        """See the acknowledgements of what is handed over, let go."""
        self._closing.set()
        self._opener.join(timeout=6)
        self._client.flush(_DELIVERY_MS / 1000 + 1)
