"""Downstream clients read the assigned leads: kcat, a bare kafka-python consumer, the cloudevents package."""

from __future__ import annotations

import json
import shutil
import subprocess
from uuid import uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from kafka import KafkaConsumer

from schemas import codec
from schemas.export import read_examples
from schemas.topics import LEADS_ASSIGNED
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Message

LEADS = {example["lead_id"]: example for example in read_examples()["lead.assigned"]}


@pytest.fixture(scope="module")
def assigned(kafka: str) -> str:
    """Bootstrap servers of a broker whose leads.assigned holds the golden examples."""
    create_topics(kafka, [LEADS_ASSIGNED], 3)
    producer = LogProducer(kafka, "test")
    producer.publish([
        Message(LEADS_ASSIGNED.name, lead_id.encode(), json.dumps(data).encode(),
                codec.write(str(uuid4()), "lead.assigned", "caudal/router"))
        for lead_id, data in LEADS.items()
    ], lambda: True)  # fmt: skip
    producer.close()
    return kafka


def test_kcat_reads_key_headers_and_plain_json(assigned: str) -> None:
    kcat = shutil.which("kcat")
    assert kcat, "kcat is missing: apt install kcat"
    command = [kcat, "-C", "-b", assigned, "-t", LEADS_ASSIGNED.name, "-e", "-q", "-J"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()
    found = {record["key"]: record for record in map(json.loads, lines)}
    assert LEADS.keys() <= found.keys()
    for lead_id, data in LEADS.items():
        headers = dict(zip(found[lead_id]["headers"][::2], found[lead_id]["headers"][1::2], strict=True))
        assert headers["ce_type"] == "lead.assigned"
        assert json.loads(found[lead_id]["payload"]) == data


def test_a_bare_consumer_reads_what_the_cloudevents_package_parses(assigned: str) -> None:
    consumer = KafkaConsumer(
        LEADS_ASSIGNED.name, bootstrap_servers=assigned, auto_offset_reset="earliest", consumer_timeout_ms=5000
    )
    records = list(consumer)
    consumer.close()
    events = [from_binary_event(KafkaMessage(dict(r.headers), r.key, r.value)) for r in records]
    assert {event.get_type() for event in events} == {"lead.assigned"}
    assert LEADS.keys() <= {event.get_data()["lead_id"] for event in events}
