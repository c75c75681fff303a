"""A small real run for `verify` to look at: the services on Kafka and PostgreSQL, in threads, until nothing moves."""

import json
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas import codec
from schemas.events.activities import ActivityReceived
from schemas.events.leads import Contact, LeadReceived
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash
from schemas.topics import ACTIVITIES_RECEIVED, CONSENTS_RECEIVED, LEADS_RECEIVED, Topic
from services.analytics import service as analytics
from services.analytics.settings import AnalyticsSettings
from services.cli import books, load
from services.cli.installation import Installation
from services.intake import service as intake
from services.intake.arrival import Accepted, Arrival
from services.intake.hydrate.answer import Reply
from services.intake.notices import read_notice, submission_id
from services.intake.settings import IntakeSettings
from services.intake.sources.source import Source
from services.nurture import service as nurture
from services.nurture.settings import NurtureSettings
from services.qualify import service as qualify
from services.qualify.settings import QualifySettings
from services.router import service as router
from services.router.settings import RouterSettings
from services.runtime.follower import restore
from services.runtime.kafka.producer import LogProducer
from services.runtime.main import build_clocks, build_worker
from services.runtime.postgres import connect, migrate, select, transaction
from services.runtime.transport import Message

SECRET = "a secret of at least thirty-two characters"
SUBMISSIONS = 120
RUN = "verified"
READ = "1"
HYDRATED = submission_id("meta", READ)


@dataclass(frozen=True)
class Sent:
    """What intake would have written, and what it acknowledged."""

    messages: list[Message]
    acknowledged: set[str]
    people: list[LeadReceived]


def publish_books(servers: str) -> None:
    """Default books, with small caps, short deadlines and mails at once: so that every kind of work occurs."""
    books.publish_missing_defaults(servers)
    routing = re.sub(r"capacity: \d+", "capacity: 8", books.default_body("routing"))
    routing = re.sub(r"(id: harvey.*capacity: )8", r"\g<1>200", routing)  # one is never full
    routing = re.sub(r"first_response: .*", "first_response: {hot: 2s, warm: 15m, cold: 2s}", routing)
    books.publish(servers, "routing", re.sub(r"max_reassignments: .*", "max_reassignments: 1", routing), "test")
    letters = re.sub(r"after: \d+s", "after: 1s", books.default_body("nurture"))
    books.publish(servers, "nurture", letters.replace("needs_consent: true", "needs_consent: false"), "test")
    books.publish(servers, "sources", books.default_body("sources") + "\n  meta:\n    hydrate: {api: meta}\n", "test")


def submissions() -> Sent:
    """Different people, and everything that can happen to a submission."""
    rng = random.Random(7)
    people = [load.submission(rng, n, SECRET, RUN) for n in range(SUBMISSIONS)]
    nobody = Contact(full_name="Nobody to reach")
    special = [
        changed(people[3], "again", message="Any news?"),
        changed(people[4], "other line", product="spare part"),
        changed(people[5], "tried", is_test=True),
        changed(people[6], "anonymous", contact=nobody, email_quality="missing", phone_quality="missing"),
        changed(people[7], "implausible", email_quality="invalid", phone_quality="invalid"),
    ]
    unlike = people[8].model_copy(update={"body_hash": "0" * 64, "message": "under an id that was used"})
    messages = [load.message(event) for event in (*people, *special, people[9], unlike)]
    garbage = Message(LEADS_RECEIVED.name, b"garbage", b"{", codec.write("not an event", "lead.received", "x"))
    return Sent([*messages, garbage], {e.correlation_id for e in (*people, *special)}, people)


def notices() -> Iterator[Message]:
    """Leads told by id: one that is read, one that its source has erased, one of a source that the book knows not."""
    now = datetime.now(UTC)
    for source, notice_id, action in (
        ("meta", READ, "created"),
        ("meta", "2", "deleted"),
        ("elsewhere", "3", "created"),
    ):
        content = {"notice_id": notice_id, "action": action}
        result = read_notice(Arrival(Source(name=source), content, "", None, now, now, SECRET))
        assert isinstance(result, Accepted)
        for event in result.events:
            yield written(event.topic, event.key, event.type, event.id, event.data)


def answered(_url: str, _headers: Mapping[str, str]) -> Reply:
    """What the source's API says of the one that is read."""
    lead = {"id": READ, "field_data": [{"name": "email", "values": ["<test lead: dummy data for email>"]}]}
    return Reply(200, {}, json.dumps(lead).encode())


def changed(event: LeadReceived, n: str, **fields: Any) -> LeadReceived:
    """Another submission of the same person; those set aside come from one source, so that tests can swap them."""
    new_id = load.derived_id(event.correlation_id, n)
    origin = event.origin.model_copy(update={"source": "website"})
    common = {"cause_id": new_id, "correlation_id": new_id, "source": "website", "origin": origin, "body_hash": n * 8}
    return event.model_copy(update=common | fields)


def later(people: list[LeadReceived]) -> Iterator[Message]:
    """What people do and say afterwards: visits to pages, and no more mails please."""
    now = datetime.now(UTC)
    for n, person in enumerate(people[10:40]):
        event_id = load.derived_id(person.correlation_id, "later")
        common = {"occurred_at": now, "recorded_at": now, "cause_id": event_id, "correlation_id": event_id}
        if n % 2:
            visit = ActivityReceived(**common, source="website", identity=person.identity, activity="mail_click")
            yield written(ACTIVITIES_RECEIVED, person.identity, "activity.received", event_id, visit)
        else:
            address = address_hash(SECRET, "email", person.contact.email or "")
            no = ConsentReceived(**common, address=address, source="website", reason="unsubscribed")
            yield written(CONSENTS_RECEIVED, address, "consent.withdrawn", event_id, no)


def reports(lead_ids: list[str]) -> Iterator[Message]:
    """What the CRM says of its leads, and of one that does not exist."""
    kinds = ("lead.accepted", "lead.won", "lead.lost", "lead.returned", "lead.stage_changed")
    for n, lead_id in enumerate([*lead_ids, "00000000-0000-4000-8000-000000000000"]):
        body = {"lead_id": lead_id, "value": 900.0, "currency": "EUR", "stage": "offer"}
        headers = [("ce_type", kinds[n % len(kinds)].encode()), ("ce_id", f"report-{n}".encode())]
        yield Message("crm.crm.outcomes.v1", lead_id.encode(), json.dumps(body).encode(), headers)


def written(topic: Topic, key: str, kind: str, event_id: str, data: Any) -> Message:
    """A record as intake writes it."""
    value = data.model_dump_json(exclude_none=True).encode()
    return Message(topic.name, key.encode(), value, codec.write(event_id, kind, "caudal/intake"))


@contextmanager
def working(here: Installation, smtp_port: int) -> Iterator[None]:
    """The services that read the log at work, one worker each."""
    where = {"kafka": here.kafka, "postgres": here.postgres, "secret": SECRET}
    tokens = here.home / "tokens.json"
    tokens.write_text('{"meta": {"token": "good"}}')
    services = (
        (qualify.build(QualifySettings(**where)), QualifySettings(**where)),
        (router.build(RouterSettings(**where)), RouterSettings(**where)),
        (nurture.build(found := NurtureSettings(**where, smtp_port=smtp_port)), found),
        (analytics.build(AnalyticsSettings(**where)), AnalyticsSettings(**where)),
        (intake.build(reads := IntakeSettings(**where, source_secrets=str(tokens)), get=answered), reads),
    )
    running, threads = [], []
    for service, settings in services:
        migrate(here.postgres, service.name, ("services.runtime", f"services.{service.name}"))
        session = connect(here.postgres, service.name, "test")
        worker = build_worker(service, settings, restore(session, service.books))
        session.close()
        clocks = build_clocks(worker, settings)
        running += [worker, clocks]
        threads += [threading.Thread(target=part.run, daemon=True) for part in (worker, clocks)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for part in running:
            part.stop()
        for thread in threads:
            thread.join(15)


def send(here: Installation, messages: list[Message]) -> None:
    producer = LogProducer(here.kafka, "test")
    try:
        producer.publish(messages, lambda: True)
    finally:
        producer.close()


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    session = connect(dsn, "public", "test")
    try:
        with transaction(session) as cursor:
            return select(cursor, sql)
    finally:
        session.close()


def until(dsn: str, sql: str, timeout_s: float = 30) -> None:
    """Wait until a query that gives one truth value gives true."""
    deadline = time.monotonic() + timeout_s
    while not ask(dsn, sql)[0][0]:
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {sql}"
        time.sleep(0.1)
