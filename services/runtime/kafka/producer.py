"""Writing, with every acknowledgement seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from zlib import crc32

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.partitioner import Partitioner

from schemas.topics import MAX_DEAD_LETTER_BYTES
from services.runtime.errors import Unavailable
from services.runtime.kafka.client import RECONNECT_MS, REQUEST_MS, asking
from services.runtime.transport import Message

log = structlog.get_logger()
DELIVERY_MS = 5000
LINGER_MS = 50
IN_FLIGHT = 2000  # futures that wait for an acknowledgement at once; kafka-python bounds no memory itself


class KeyPartitioner(Partitioner):  # type: ignore[misc]  # kafka-python ships no types
    """CRC32 of the key, as librdkafka's clients choose by default: the client's own murmur2 in Python costs 10 us."""

    def partition(
        self, topic: str, key: object, key_bytes: bytes | None, value: object, value_bytes: object, cluster: Any
    ) -> int:
        """Number of the partition; records without key go to the first."""
        return crc32(key_bytes or b"") % len(cluster.partitions_for_topic(topic))


class LogProducer:
    """Writes to Kafka and waits for every acknowledgement (`transport.Producer`).

    After a failure the client is thrown away: an idempotent one may refuse everything from then on, and what still lies
    in its buffers must not go out late.
    """

    def __init__(self, servers: str, client_id: str) -> None:
        self._servers, self._client_id = servers.split(","), client_id
        self._client: Any = self._open()

    def _open(self) -> Any:
        with asking("opening the producer"):
            return KafkaProducer(
                bootstrap_servers=self._servers, client_id=self._client_id, acks="all",
                partitioner=KeyPartitioner(), linger_ms=LINGER_MS,  # a flush follows every hand-over and waits for none
                batch_size=131_072, delivery_timeout_ms=DELIVERY_MS, request_timeout_ms=REQUEST_MS,
                max_block_ms=REQUEST_MS, reconnect_backoff_max_ms=RECONNECT_MS,
                max_request_size=2 * MAX_DEAD_LETTER_BYTES,
            )  # fmt: skip

    def publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        """See `transport.Producer`."""
        self._client = self._client or self._open()
        try:
            self._publish(messages, may_send)
        except Unavailable:
            client, self._client = self._client, None
            throw_away(client)
            raise

    def _publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        futures: list[Any] = []
        try:
            for start in range(0, len(messages), IN_FLIGHT):
                chunk = messages[start : start + IN_FLIGHT]
                with asking("producing"):
                    self._hand_over(chunk, may_send, futures)
        finally:
            failed = settle(futures, DELIVERY_MS / 1000 + 1)
        if failed:
            raise Unavailable(f"Kafka acknowledged all but {failed} of {len(messages)} records")

    def _hand_over(self, chunk: Sequence[Message], may_send: Callable[[], bool], futures: list[Any]) -> None:
        for n, m in enumerate(chunk):
            if n % 50 == 0 and not may_send():
                raise Unavailable("too long between the check of the fence and the send")
            futures.append(self._client.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)))
        self._client.flush(timeout=DELIVERY_MS / 1000 + 1)

    def close(self) -> None:
        """See `transport.Producer`."""
        if self._client:
            with suppress(KafkaError, OSError):
                self._client.close(timeout=3)


def throw_away(client: Any) -> None:
    """Close without sending what is left: `close` flushes first and leaves everything running when that fails."""
    with suppress(KafkaError, OSError):
        client._sender.force_close()
        client.close(timeout=1)


def settle(futures: Sequence[Any], within_s: float) -> int:
    """Wait for all futures, together no longer than this; how many failed.

    When a broker dies the client forgets some of its futures: each of those would cost its own timeout, and a worker
    that waits for hundreds of them keeps its whole group from rebalancing.
    """
    failed, deadline = 0, time.monotonic() + within_s
    for future in futures:
        try:
            future.get(timeout=max(0.0, deadline - time.monotonic()))
        except (KafkaError, OSError, AssertionError) as error:
            failed += 1
            if failed == 1:
                log.warning("produce.failed", error=f"{type(error).__name__}: {error}")
    return failed
