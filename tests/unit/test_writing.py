"""The client through which all is written, against librdkafka's own small broker."""

import pytest
from confluent_kafka import KafkaError, Producer

from services.runtime.kafka.writing import known_topics, name_of, open_producer, throw_away

SOON_S = 10.0


@pytest.fixture
def broker() -> Producer:
    """A client that carries a broker in it, which makes every topic that it is allowed to make."""
    return Producer({"test.mock.num.brokers": 1, "log_level": 0})


def writer(broker: Producer) -> Producer:
    (member,) = broker.list_topics(timeout=SOON_S).brokers.values()
    return open_producer(
        f"{member.host}:{member.port}", "test", delivery_ms=1000, request_ms=500, linger_ms=1, idempotent=False
    )


def told(client: Producer, topic: str) -> list[str | None]:
    """What becomes of one record."""
    outcomes: list[str | None] = []

    def hear(error: KafkaError | None, _record: object) -> None:
        outcomes.append(name_of(error) if error else None)

    client.produce(topic, b"value", b"key", on_delivery=hear)
    client.flush(SOON_S)
    return outcomes


def test_writing_makes_no_topic(broker: Producer) -> None:
    """Topics are made from their declarations: one that the broker makes by itself has other partitions and dates."""
    client = writer(broker)
    assert told(client, "mistyped.v1") == ["_MSG_TIMED_OUT"]
    assert "mistyped.v1" not in known_topics(client, SOON_S)


def test_what_is_thrown_away_is_told_to_have_failed(broker: Producer) -> None:
    client = writer(broker)
    outcomes: list[str] = []
    client.produce("mistyped.v1", b"value", b"key", on_delivery=lambda error, _: outcomes.append(name_of(error)))
    throw_away(client)
    assert outcomes == ["_PURGE_QUEUE"]
    assert len(client) == 0
