"""The worker services together on the memory log and one database: a lead's way from submission to figures."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from schemas import codec
from schemas.events.operations import RulesActivated, RulesPublished
from schemas.topics import LEADS_ASSIGNED, LEADS_QUALIFIED, LEADS_RECEIVED, PEOPLE_CHANGED, RULES_PUBLISHED, all_topics
from services.analytics import recount
from services.analytics import service as analytics
from services.analytics.settings import AnalyticsSettings
from services.cli import books, load
from services.nurture import service as nurture
from services.nurture.settings import NurtureSettings
from services.qualify import service as qualify
from services.qualify.settings import QualifySettings
from services.router import service as router
from services.router.settings import RouterSettings
from services.runtime.batch import Batches
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import restore
from services.runtime.inbox import Inbox
from services.runtime.memory.clients import MemoryConsumer, MemoryProducer, MemoryReader
from services.runtime.memory.log import MemoryLog
from services.runtime.postgres import Session, connect, migrate, select, transaction
from services.runtime.publisher import Publisher
from services.runtime.rulebook import book_version
from services.runtime.service import Service
from services.runtime.transport import Message, Record
from services.runtime.worker import Links, Worker

SECRET = "a secret of at least thirty-two characters"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class UntilIdle(MemoryConsumer):
    """Stops its worker when two polls in a row brought nothing."""

    def __init__(self, log: MemoryLog, group: str, topics: list[str], stop: Callable[[], None]) -> None:
        super().__init__(log, group, topics, "1")
        self._stop, self._empty = stop, 0

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        records = super().poll(timeout_s, max_records)
        self._empty = 0 if records else self._empty + 1
        if self._empty >= 2:
            self._stop()
        return records


@dataclass
class Chain:
    """Four services on one log; `run` lets each work until it has nothing to do, in the order of the flow."""

    dsn: str
    log: MemoryLog = field(default_factory=lambda: MemoryLog(lambda: START, all_topics((), ("crm",)), longest_wait_s=0))
    services: tuple[Service, ...] = field(init=False)

    def __post_init__(self) -> None:
        where = {"postgres": self.dsn, "secret": SECRET}
        self.services = (
            qualify.build(QualifySettings(**where)), router.build(RouterSettings(**where)),
            nurture.build(NurtureSettings(**where)), analytics.build(AnalyticsSettings(**where)),
        )  # fmt: skip
        for service in self.services:
            migrate(self.dsn, service.name, ("services.runtime", f"services.{service.name}"))
        for book in books.MODELS:
            self.publish_book(book)

    def publish_book(self, book: str) -> None:
        body, cause = books.default_body(book), str(uuid4())
        common = {"occurred_at": START, "recorded_at": START, "cause_id": cause, "correlation_id": cause, "book": book}
        version = book_version(book, body)
        said = {
            "rules.published": RulesPublished(**common, book_version=version, body=body, author="test"),
            "rules.activated": RulesActivated(**common, book_version=version, author="test"),
        }
        for kind, event in said.items():
            value = event.model_dump_json().encode()
            self.log.append(
                Message(RULES_PUBLISHED.name, book.encode(), value, codec.write(str(uuid4()), kind, "test"))
            )

    def session(self, service: Service) -> Session:
        return connect(self.dsn, service.name, "test")

    def run(self) -> None:
        for service in self.services:
            self.worker(service).run()

    def worker(self, service: Service) -> Worker:
        topics = {t.name: t for t in service.inputs}
        batches = Batches(service, Decoder(topics, service.for_ever), Inbox(keep_data=service.keep_data), Faults())
        links = Links(
            consumer=lambda: UntilIdle(self.log, f"caudal.{service.name}", sorted(topics), worker.stop),
            publisher=lambda: Publisher(service, MemoryProducer(self.log)),
            session=lambda: self.session(service), now=lambda: START + timedelta(seconds=1),
            books=lambda offset: MemoryReader(self.log, [RULES_PUBLISHED.name], {(RULES_PUBLISHED.name, 0): offset}),
        )  # fmt: skip
        session = self.session(service)
        worker = Worker(batches, links, restore(session, service.books), service.name)
        session.close()
        return worker

    def types(self, topic: str) -> list[str]:
        return [dict(r.headers)["ce_type"].decode() for r in self.log.records(topic)]


@pytest.fixture
def chain(database: str) -> Chain:
    return Chain(database)


def test_every_submission_is_assigned_or_parked_once_and_counted(chain: Chain) -> None:
    for message in load.messages(60, SECRET, "pipeline"):
        chain.log.append(message)
    chain.run()
    assert chain.types(LEADS_QUALIFIED.name).count("lead.qualified") == 60
    assert len(chain.log.records(PEOPLE_CHANGED.name)) == 60
    assert sorted(set(chain.types(LEADS_ASSIGNED.name)) - {"lead.parked"}) == ["lead.assigned"]
    assert len({r.key for r in chain.log.records(LEADS_ASSIGNED.name)}) == 60
    session = chain.session(chain.services[-1])
    with transaction(session) as cursor:
        assert select(cursor, "SELECT sum(leads), sum(assigned) + sum(parked) FROM funnel") == [(60, 60)]
    assert recount.differences(session) == []
    session.close()


def test_a_replay_from_the_first_record_publishes_nothing(chain: Chain) -> None:
    for message in load.messages(20, SECRET, "replay"):
        chain.log.append(message)
    chain.run()
    before = {topic.name: chain.log.count(topic.name) for topic in all_topics((), ("crm",))}
    for service in chain.services:
        for partition in chain.log.committed(f"caudal.{service.name}"):
            chain.log.committed(f"caudal.{service.name}")[partition] = 0
    chain.run()
    assert {name: chain.log.count(name) for name in before} == before


def test_a_repeat_enquiry_attaches_and_updates_the_owner(chain: Chain) -> None:
    person = load.submission(random.Random(1), 1, SECRET, "again")
    again_id = load.derived_id(person.correlation_id, "again")
    again = person.model_copy(update={
        "cause_id": again_id, "correlation_id": again_id, "message": "Any news?", "body_hash": "another",
    })  # fmt: skip
    for event in (person, again, again):
        chain.log.append(load.message(event))
    chain.run()
    assert chain.types(LEADS_QUALIFIED.name) == ["lead.qualified", "lead.attached"]
    assert chain.types(LEADS_ASSIGNED.name) == ["lead.assigned", "lead.updated"]
    assert chain.log.count(LEADS_RECEIVED.name) == 3
