"""librdkafka, through which all is written: its settings, its errors as ours, and how one is thrown away.

Its threads run without Python, so that whoever writes does not share the interpreter with them.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.topics import MAX_DEAD_LETTER_BYTES
from services.runtime.errors import Unavailable
from services.runtime.kafka.client import RECONNECT_MS

_BATCH_BYTES = 131_072
FAILURES = (KafkaException, BufferError)
"""What handing over a record raises: the client cannot take it, or its queue is full."""


def open_producer(
    servers: str, client_id: str, *, delivery_ms: int, request_ms: int, linger_ms: float, idempotent: bool
) -> Producer:
    """A client that connects by itself and again and again, whether a broker answers yet or not.

    Each record is reported within about `delivery_ms` and a second: the client looks at its clock so often.
    """
    return Producer({
        "bootstrap.servers": servers, "client.id": client_id, "acks": "all", "enable.idempotence": idempotent,
        "delivery.timeout.ms": delivery_ms, "request.timeout.ms": request_ms, "linger.ms": linger_ms,
        "batch.size": _BATCH_BYTES, "message.max.bytes": 2 * MAX_DEAD_LETTER_BYTES,
        "partitioner": "consistent",  # CRC32 of the key
        "allow.auto.create.topics": False,  # a topic made by a broker would have its partitions and retention, not ours
        "reconnect.backoff.max.ms": RECONNECT_MS, "socket.nagle.disable": True,
        "log_level": 0,  # it would write to standard error by itself; what fails is told with each record
    })  # fmt: skip


def known_topics(client: Producer, within_s: float) -> frozenset[str]:
    """The topics that the broker has; to know them it must have answered. Raises `Unavailable`."""
    try:
        found = client.list_topics(timeout=within_s).topics
    except KafkaException as error:
        raise Unavailable(f"Kafka failed while opening the producer: {name_of(error)}") from error
    return frozenset(name for name, topic in found.items() if not topic.error)


def name_of(error: KafkaError | BaseException) -> str:
    """A failure's name for logs and answers, such as `_MSG_TIMED_OUT`."""
    inner: Any = error.args[0] if isinstance(error, KafkaException) and error.args else error
    return inner.name() if isinstance(inner, KafkaError) else type(error).__name__


def throw_away(client: Producer) -> None:
    """Nothing that still lies in the client goes out any more; each of its records is reported as failed."""
    client.purge()
    client.poll(0)
