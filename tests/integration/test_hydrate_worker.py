"""Intake's worker as a process of its own, on real Kafka and PostgreSQL: leads told by id come out once, as leads."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from typer.testing import CliRunner

from schemas import codec
from schemas.events.leads import LeadReceived
from schemas.identity import address_hash
from schemas.topics import CATALOGUE, DEADLETTERS, INSIGHTS_ALERTS, LEADS_RECEIVED, PEOPLE_ERASURES, Topic
from services.cli.__main__ import command_line
from services.intake.arrival import Accepted, Arrival
from services.intake.notices import read_notice, submission_id
from services.intake.sources.source import Source
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.postgres import connect, select, transaction
from services.runtime.transport import Message, Record
from tests.graph_server import Fake, fake_apis, graph_lead, unreadable
from tests.integration.test_intake_http import ROOT, SECRET, publish_book

IDS = [str(n) for n in range(1, 21)]


class Worker:
    """Where it works, and what it is told and tells."""

    def __init__(self, kafka: str, database: str, fake: Fake, home: Path, source: str) -> None:
        self.kafka, self.database, self.fake, self.home, self.source = kafka, database, fake, home, source
        create_topics(kafka, CATALOGUE, partitions=3)
        hydrate = f"{{api: meta, url: '{fake.url}', per_hour: 100000}}"
        publish_book(kafka, f"sources:\n  {source}:\n    required: [email]\n    hydrate: {hydrate}\n")
        self.give("good")
        self.env = {
            "CAUDAL_KAFKA": kafka, "CAUDAL_POSTGRES": database, "CAUDAL_SECRET": SECRET, "CAUDAL_HOME": str(home),
            "CAUDAL_SOURCE_SECRETS": str(home / "tokens.json"), "CAUDAL_OUTBOUND_ALLOW": "127.0.0.0/8",
            "CAUDAL_HYDRATE_LEASE_S": "2", "CAUDAL_HYDRATE_TIMEOUT_S": "1", "CAUDAL_SOURCES": "",
        }  # fmt: skip

    def give(self, token: str) -> None:
        (self.home / "tokens.json").write_text(json.dumps({self.source: {"token": [token], "secret": ["app"]}}))

    @contextmanager
    def running(self, fault: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """The process; it is stopped at the end unless the armed fault has killed it."""
        argv = [sys.executable, "-m", "services.intake.stream"]
        env = os.environ | self.env | {"CAUDAL_FAULT": fault}
        with (self.home / "stderr").open("ab") as out:
            process = subprocess.Popen(argv, cwd=ROOT, env=env, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def tell(self, *ids: str, action: str = "created") -> None:
        now = datetime.now(UTC)
        producer = LogProducer(self.kafka, "test")
        for own in ids:
            content = {"notice_id": own, "action": action}
            result = read_notice(Arrival(Source(name=self.source), content, "", None, now, now, SECRET))
            assert isinstance(result, Accepted)
            (event,) = result.events
            headers = codec.write(event.id, event.type, "caudal/intake")
            value = (event.value or "").encode()
            producer.publish([Message(event.topic.name, event.key.encode(), value, headers)], lambda: True)
        producer.close()

    def records(self, topic: Topic) -> list[Record]:
        reader = Reader(self.kafka, [topic.name])
        found = [r for r in reader.to_end() if self.source.encode() in (r.value or b"")]
        reader.close()
        return found

    def leads(self) -> list[LeadReceived]:
        return [LeadReceived.model_validate_json(r.value or b"") for r in self.records(LEADS_RECEIVED)]

    def count(self, where: str) -> int:
        """How many rows of the queue are so; 0 before there is a queue."""
        session = connect(self.database, "intake", "test")
        try:
            with transaction(session) as cursor:
                return int(select(cursor, f"SELECT count(*) FROM notice WHERE {where}")[0][0])
        except psycopg2.errors.UndefinedTable:
            return 0
        finally:
            session.close()

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not done():
            assert time.monotonic() < deadline, (self.home / "stderr").read_text()[-3000:]
            time.sleep(0.2)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_apis(leads={own: graph_lead(own, f"lead{own}@example.com") for own in IDS}) as running:
        yield running


def test_each_lead_comes_out_once_though_workers_are_killed_and_the_token_expires(
    kafka: str, database: str, tmp_path: Path, fake: Fake
) -> None:
    worker = Worker(kafka, database, fake, tmp_path, "meta-kills")
    fake.script["3"] = [unreadable(), unreadable()]
    worker.tell(*IDS[:10], *IDS[:5])
    for fault in ("after_claim:1", "after_call:4"):
        with worker.running(fault) as process:
            assert process.wait(60) == -signal.SIGKILL
    fake.token = "renewed"
    worker.tell(*IDS[10:])
    with worker.running():
        worker.until(lambda: bool(worker.records(INSIGHTS_ALERTS)))
        worker.give("renewed")
        worker.until(lambda: worker.count("state = 'done'") == len(IDS) and len(worker.leads()) >= len(IDS))
        worker.until(lambda: len(worker.records(INSIGHTS_ALERTS)) == 2)
    leads = worker.leads()
    assert sorted(lead.source_key or "" for lead in leads) == sorted(IDS)
    assert {lead.correlation_id for lead in leads} == {submission_id("meta-kills", own) for own in IDS}
    raised, cleared = (dict(r.headers)["ce_type"] for r in worker.records(INSIGHTS_ALERTS))
    assert (raised, cleared) == (b"alert.raised", b"alert.cleared")
    assert "example.com" not in (tmp_path / "stderr").read_text()


def test_deletions_dead_ones_and_a_backfill_end_as_they_must(
    kafka: str, database: str, tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(kafka, database, fake, tmp_path, "meta-ends")
    for name, value in worker.env.items():
        monkeypatch.setenv(name, value)
    fake.leads["9"]["field_data"] = [{"name": "city", "values": ["Elx"]}]
    fake.forms, fake.app_secret = {"1616": IDS[:12]}, "app"
    worker.tell("2", action="deleted")
    with worker.running():
        worker.tell("1", "2", "9")
        worker.until(lambda: worker.count("state IN ('done', 'dead', 'gone')") == 3)
        worker.tell("1", action="deleted")
        worker.until(lambda: len(worker.records(PEOPLE_ERASURES)) == 1 and bool(worker.records(DEADLETTERS)))
        assert said("backfill", "meta-ends", "--from", "2026-11-02", "--to", "2026-11-02").startswith("12 leads")
        worker.until(lambda: len(worker.leads()) == 10)
        assert said("backfill", "meta-ends", "--from", "2026-11-02", "--to", "2026-11-02").startswith("12 leads")
        assert said("backfill", "meta-ends", "--from", "2026-11-03", "--to", "2026-11-04").startswith("0 leads")
        fake.leads["9"] = graph_lead("9", "lead9@example.com")
        assert said("retry", "meta-ends").startswith("1 leads")
        worker.until(lambda: len(worker.leads()) == 11)
    (erasure,) = worker.records(PEOPLE_ERASURES)
    assert erasure.key == address_hash(SECRET, "email", "lead1@example.com").encode()
    (letter,) = (json.loads(r.value or b"") for r in worker.records(DEADLETTERS)
                 if b'"required"' in (r.value or b""))  # fmt: skip
    assert json.loads(base64.b64decode(letter["raw_value"]))["notice_id"] == "9"
    assert sorted(lead.source_key or "" for lead in worker.leads()) == sorted({*IDS[:12]} - {"2"})
    counts = said("hydrate").splitlines()[-2].split("│")
    assert [column.strip() for column in counts[1:8]] == ["meta-ends", "0", "0", "0", "0", "2", "10"]


def said(*words: str) -> str:
    """What `caudal sources` prints, which must succeed."""
    result = CliRunner().invoke(command_line(["sources"]), ["sources", *words])
    assert result.exit_code == 0, result.output
    return result.output
