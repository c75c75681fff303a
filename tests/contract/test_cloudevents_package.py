"""Our codec and the reference package for CloudEvents read what the other writes."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_binary_event,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from schemas import codec
from schemas.export import read_examples
from schemas.messages import messages_of
from schemas.topics import all_topics, destination_outcomes

EXAMPLES = read_examples()
DAY = "2026-03-02"
ID = "0b0f7a52-6f0e-5d0c-9b5e-0a4a6c1f2b3d"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CASES = [
    pytest.param(topic, message, data, id=f"{topic.name}-{message.name}-{n}")
    for topic in all_topics(("ads",), ("crm",))
    for message in messages_of(topic)
    for n, data in enumerate(EXAMPLES[message.name])
]


def theirs(message, data: dict) -> CloudEvent:
    attributes = {
        "id": ID,
        "source": "https://crm.example.com",
        "type": message.event_type,
        "specversion": "1.0",
        "time": datetime(2026, 3, 2, 9, 14, tzinfo=UTC),
        "subject": "anything",
        "datacontenttype": "application/json",
        "dataschema": "https://www.example.com/schema.json",
        "partitionkey": "key",
        "traceparent": TRACE,
    }
    return CloudEvent(attributes, data)


def ours(topic, record: KafkaMessage) -> codec.Envelope:
    key = record.key.encode() if isinstance(record.key, str) else record.key
    return codec.read(topic, key, record.value, list(record.headers.items()), DAY)


@pytest.mark.parametrize(("topic", "message", "data"), CASES)
def test_the_package_reads_what_we_write(topic, message, data) -> None:
    event = message.model.model_validate(data)
    value = event.model_dump_json(exclude_none=True)
    headers = dict(codec.write(ID, message.event_type, "router", TRACE))
    read = from_binary_event(KafkaMessage(headers, b"key", value.encode()))
    assert (read.get_id(), read.get_source(), read.get_type()) == (ID, "router", message.event_type)
    assert (read.get_specversion(), read.get_datacontenttype()) == ("1.0", "application/json")
    assert read.get_data() == json.loads(value)


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
@pytest.mark.parametrize(("topic", "message", "data"), CASES)
def test_we_read_what_the_package_writes(topic, message, data, write) -> None:
    envelope = ours(topic, write(theirs(message, data)))
    assert (envelope.id, envelope.source, envelope.type) == (ID, "https://crm.example.com", message.event_type)
    assert envelope.data == message.model.model_validate(data)
    assert envelope.traceparent == TRACE


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_both_read_a_report_of_a_crm_alike(write) -> None:
    topic = destination_outcomes("crm")
    message = next(m for m in messages_of(topic) if m.event_type == "lead.won")
    record = write(theirs(message, {"lead_id": "7", "value": 10.5, "note": "señal"}))
    read, envelope = from_kafka_event(record), ours(topic, record)
    assert (read.get_id(), read.get_type()) == (envelope.id, envelope.type)
    assert read.get_data() == json.loads(envelope.body)
    assert envelope.data.note == "señal"


def test_data_as_base64_in_structured_mode_are_data() -> None:
    topic = destination_outcomes("crm")
    message = next(m for m in messages_of(topic) if m.event_type == "lead.won")
    event = CloudEvent(theirs(message, {}).get_attributes(), b'{"lead_id": "7"}')
    assert b"data_base64" in to_structured_event(event).value
    assert ours(topic, to_structured_event(event)).data.lead_id == "7"
