"""A source of kind `kafka`: what a platform writes on its own topic comes out as leads, the rest as dead letters."""

import os
import subprocess
import sys
import time
from pathlib import Path

from kafka import KafkaProducer

from schemas.events.leads import LeadReceived
from schemas.topics import CATALOGUE, DEADLETTERS, LEADS_RECEIVED, source_topic
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Record
from tests.integration.test_intake_http import ROOT, SECRET, publish_book


def records_of(servers: str, topic: str, source: bytes) -> list[Record]:
    reader = Reader(servers, [topic])
    found = [r for r in reader.to_end() if source in (r.value or b"")]
    reader.close()
    return found


def test_mapped_json_and_cloudevents_become_leads_once_and_garbage_a_dead_letter(
    kafka: str, database: str, tmp_path: Path
) -> None:
    create_topics(kafka, [*CATALOGUE, source_topic("feed")], partitions=3)
    publish_book(kafka, "sources:\n  feed: {kind: kafka, id_field: ref, region: ES, fields: {who.mail: email}}\n")
    producer = KafkaProducer(bootstrap_servers=kafka)
    structured = (
        b'{"specversion": "1.0", "id": "e1", "type": "t", "source": "s", "data": {"ref": 2, "phone": "600000012"}}'
    )
    for value, headers in [
        (b'{"ref": 1, "who": {"mail": "ana@example.com"}}', []),
        (b'{"ref": 1, "who": {"mail": "ana@example.com"}}', []),
        (structured, [("content-type", b"application/cloudevents+json")]),
        (b"garbage", []),
    ]:
        producer.send("sources.feed.v1", value=value, headers=headers).get(10)
    producer.close()
    env = os.environ | {
        "CAUDAL_KAFKA": kafka,
        "CAUDAL_POSTGRES": database,
        "CAUDAL_SECRET": SECRET,
        "CAUDAL_SOURCES": "feed",
    }
    errors = tmp_path / "stderr"
    with errors.open("wb") as out:
        worker = subprocess.Popen([sys.executable, "-m", "services.intake.stream"], cwd=ROOT, env=env, stderr=out)
    try:
        deadline = time.monotonic() + 90
        while len(records_of(kafka, LEADS_RECEIVED.name, b'"feed"')) < 2 or not records_of(
            kafka, DEADLETTERS.name, b"sources.feed.v1"
        ):
            assert worker.poll() is None, errors.read_text()
            assert time.monotonic() < deadline, errors.read_text()
            time.sleep(0.5)
    finally:
        worker.terminate()
        worker.wait(30)
    leads = [
        LeadReceived.model_validate_json(r.value or b"") for r in records_of(kafka, LEADS_RECEIVED.name, b'"feed"')
    ]
    assert sorted(lead.source_key or "" for lead in leads) == ["1", "2"]
    assert {lead.contact.email or lead.contact.phone for lead in leads} == {"ana@example.com", "+34600000012"}
    (dead,) = records_of(kafka, DEADLETTERS.name, b"sources.feed.v1")
    assert b'"bad_json"' in (dead.value or b"")
    assert "example.com" not in errors.read_text()
