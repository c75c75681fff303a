"""The engine on the real parts: Kafka and PostgreSQL, two workers, a clean stop and a takeover."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from schemas.events.people import PersonChanged
from schemas.topics import DEADLETTERS, PEOPLE_CHANGED, RULES_PUBLISHED
from services.runtime.follower import restore
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.main import build_worker
from services.runtime.postgres import connect, migrate, select, transaction
from services.runtime.service import Service
from services.runtime.settings import RuntimeSettings
from services.runtime.worker import Worker
from tests.rig import quiet
from tests.toy import INPUTS, TABLES, activity, submission, toy

__all__ = ["quiet"]
PEOPLE, EACH = 40, 25


def start(service: Service, settings: RuntimeSettings) -> tuple[Worker, threading.Thread]:
    session = connect(settings.postgres, service.name, "test")
    worker = build_worker(service, settings, restore(session, service.books))
    session.close()
    thread = threading.Thread(target=worker.run)
    thread.start()
    return worker, thread


def until(said: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not said():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def test_two_workers_count_every_submission_once_though_one_leaves_midway(kafka: str, database: str) -> None:
    run = uuid.uuid4().hex[:8]
    inputs = tuple(replace(t, name=f"{t.name}.{run}") for t in INPUTS)
    service = replace(toy(inputs=inputs, clocks=()), name=f"toy{run}")
    create_topics(kafka, (*inputs, PEOPLE_CHANGED, DEADLETTERS, RULES_PUBLISHED), 4)
    migrate(database, service.name, ["services.runtime"])
    session = connect(database, service.name, "test")
    with transaction(session) as cursor:
        cursor.execute(TABLES)

    def asked(sql: str) -> int:
        with transaction(session) as cursor:
            return int(select(cursor, sql)[0][0] or 0)

    settings = RuntimeSettings(kafka=kafka, postgres=database, worker="1", batch=50)
    first, first_thread = start(service, settings)
    second, second_thread = start(service, settings.model_copy(update={"worker": "2"}))
    producer = LogProducer(kafka, "test")
    for n in range(EACH):
        told = [m for who in people(run) for m in (submission(who, n=n), activity(who, n=n))]
        renamed = [replace(m, topic=f"{m.topic}.{run}") for m in told]
        producer.publish(renamed, lambda: True)
        if n == EACH // 2:
            first.stop()
    until(lambda: asked("SELECT sum(submissions + activities) FROM person") == 2 * PEOPLE * EACH)
    first_thread.join(20)
    second.stop()
    second_thread.join(20)
    assert not first_thread.is_alive()
    assert not second_thread.is_alive()
    assert asked("SELECT count(*) FROM inbox") == 2 * PEOPLE * EACH
    assert asked("SELECT count(*) FROM pending WHERE frames <> ''") == 0
    reader = Reader(kafka, [PEOPLE_CHANGED.name])
    last: dict[str, PersonChanged] = {}
    ids: list[str] = []
    for record in reader.to_end():
        if record.key and record.value and record.key.decode().endswith(run):
            last[record.key.decode()] = PersonChanged.model_validate_json(record.value)
            ids.append(dict(record.headers)["ce_id"].decode())
    reader.close()
    producer.close()
    session.close()
    assert {who: state.version for who, state in last.items()} == dict.fromkeys(people(run), 2 * EACH)
    assert len(set(ids)) == 2 * PEOPLE * EACH


def people(run: str) -> list[str]:
    return [f"person {n} {run}" for n in range(PEOPLE)]
