"""Writing for workers and commands, with every acknowledgement seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from services.runtime.errors import Unavailable
from services.runtime.kafka.client import REQUEST_MS
from services.runtime.kafka.writing import FAILURES, known_topics, name_of, open_producer, throw_away
from services.runtime.transport import Message

log = structlog.get_logger()
DELIVERY_MS = 5000
LINGER_MS = 50  # a flush follows every hand-over and waits for none of it
IN_FLIGHT = 2000  # records that wait for an acknowledgement at once
_STEP_S = 0.2  # of waiting: the client hears no signal meanwhile


class LogProducer:
    """Writes to Kafka and waits for every acknowledgement (`transport.Producer`).

    After a failure the client is thrown away: what still lies in its buffers must not go out late. Raises `Unavailable`
    when no broker answers at the start.
    """

    def __init__(self, servers: str, client_id: str) -> None:
        self._servers, self._client_id = servers, client_id
        self._client: Any = self._open()

    def _open(self) -> Any:
        client = open_producer(
            self._servers, self._client_id, delivery_ms=DELIVERY_MS, request_ms=REQUEST_MS, linger_ms=LINGER_MS,
            idempotent=True,
        )  # fmt: skip
        known_topics(client, REQUEST_MS / 1000)
        return client

    def publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        """See `transport.Producer`."""
        self._client = self._client or self._open()
        try:
            for start in range(0, len(messages), IN_FLIGHT):
                self._publish(messages[start : start + IN_FLIGHT], may_send)
        except BaseException:  # whatever it was: what is handed over must not go out with the next records
            client, self._client = self._client, None
            throw_away(client)
            raise

    def _publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        outcomes: list[str | None] = []

        def hear(error: Any, _record: Any) -> None:
            outcomes.append(error and name_of(error))

        produce = self._client.produce
        try:
            for n, m in enumerate(messages):
                if n % 50 == 0 and not may_send():
                    raise Unavailable("too long between the check of the fence and the send")
                produce(m.topic, m.value, m.key, headers=[*m.headers], on_delivery=hear)
        except FAILURES as error:
            raise Unavailable(f"Kafka took no record: {name_of(error)}") from error
        _flush(self._client, DELIVERY_MS / 1000 + 2)
        acknowledged = outcomes.count(None)
        if acknowledged < len(messages):
            why = next(filter(None, outcomes), "no answer at all")
            log.warning("produce.failed", error=why)
            raise Unavailable(f"Kafka acknowledged {acknowledged} of {len(messages)} records: {why}")

    def close(self) -> None:
        """See `transport.Producer`."""
        if self._client:
            _flush(self._client, 3)
            throw_away(self._client)


def _flush(client: Any, within_s: float) -> None:
    """Wait until all is reported, in short steps: between them Ctrl-C is heard."""
    deadline = time.monotonic() + within_s
    while client.flush(_STEP_S) and time.monotonic() < deadline:
        pass
