"""Events, rules and a small driver for the tests of nurture."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2.extensions

from schemas.events.event import Event
from schemas.events.leads import Contact, LeadQualified, LeadState, Origin
from schemas.events.outcomes import Outcome
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash
from schemas.topics import CONSENTS_RECEIVED, LEADS_OUTCOMES, LEADS_QUALIFIED, Topic
from services.nurture import store
from services.nurture.channels.letters import Letters
from services.nurture.channels.smtp import Line
from services.nurture.rules import NurtureRules
from services.nurture.sending import Post
from services.nurture.service import decide_event
from services.nurture.settings import NurtureSettings
from services.nurture.views import QUALIFIED
from services.nurture.world import World
from services.runtime.postgres import connect, migrate, transaction
from services.runtime.rulebook import parse_book
from services.runtime.verdict import Book, Context, Emit, Incoming, Outgoing, Verdict

SECRET = "an-installation-secret-of-the-tests"
NOW = datetime(2031, 5, 6, 10, 0, tzinfo=UTC)
EMAIL = "maya@example.com"
BODY = (Path(__file__).parents[1] / "deploy/rules/nurture.yaml").read_text(encoding="utf-8")


def rule_book(**changes: Any) -> Book:
    """The default book; `changes` replace its top-level parts."""
    book = parse_book("nurture", BODY, NurtureRules)
    return Book(book.version, NurtureRules.model_validate({**book.rules.model_dump(), **_plain(changes)}))


def _plain(changes: dict[str, Any]) -> dict[str, Any]:
    written = parse_book("nurture", BODY, NurtureRules).rules
    kept = {"quiet_hours": _times(written), "sequences": plain_sequences(), "retry": ["30s", "5m"]}
    return {**kept, **changes}


def _times(rules: NurtureRules) -> dict[str, Any]:
    return {"from": "00:00", "to": "00:00", "default_zone": "Europe/Madrid", "zones": rules.quiet_hours.zones}


def plain_sequences() -> list[dict[str, Any]]:
    """The sequences of the default book as plain data, to change and pass to `rule_book`."""
    rules: NurtureRules = parse_book("nurture", BODY, NurtureRules).rules
    return [
        {**s.model_dump(), "steps": [{**m.model_dump(), "after": f"{int(m.after.total_seconds())}s"} for m in s.steps]}
        for s in rules.sequences
    ]


BOOK = rule_book()


def context(now: datetime = NOW, book: Book = BOOK, applied: datetime | None = None) -> Context:
    return Context(now, {"nurture": book}, applied or now)


def lead_id(n: int = 1) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lead {n}"))


def hashed(email: str = EMAIL) -> str:
    return address_hash(SECRET, "email", email)


def incoming(topic: Topic, event_type: str, key: str, data: Event, at: datetime = NOW) -> Incoming:
    event_id = str(uuid.uuid4())
    if topic is LEADS_QUALIFIED:  # as nurture reads it
        data = QUALIFIED.events[event_type].model_validate_json(data.model_dump_json(exclude_none=True))
    return Incoming(event_id, event_type, "test", key, data, topic.name, 0, 0, at, event_id, at.date(), b"")


def lead(
    n: int = 1, version: int = 1, email: str | None = EMAIL, at: datetime = NOW, *, warmth: str = "cold",
    score: float = 10.0, status: str = "open", event_type: str = "lead.qualified", is_test: bool = False,
    origin_type: str = "net", **contact: Any,
) -> Incoming:  # fmt: skip
    who = Contact(email=email, **{"given_name": "Maya", "language": "en", "country": "ES", **contact})
    state = LeadState(
        lead_id=lead_id(n), person_id=f"person {n}", product_line="general", status=status, opened_at=at,
        origin=Origin(source="website", origin_type=origin_type), contact=who, warmth=warmth, score=score,
        is_test=is_test, product="field spectrometer",
    )  # fmt: skip
    data = LeadQualified(
        occurred_at=at, recorded_at=at, cause_id=f"cause {n}", correlation_id=f"submission {n}", version=version,
        lead=state, rules_version="scoring-1",
    )  # fmt: skip
    return incoming(LEADS_QUALIFIED, event_type, lead_id(n), data, at)


def consent(
    event_type: str = "consent.given", email: str = EMAIL, at: datetime = NOW, purpose: str = "marketing",
    arrival: datetime | None = None,
) -> Incoming:  # fmt: skip
    data = ConsentReceived(
        occurred_at=at, recorded_at=arrival or at, cause_id="form", correlation_id="submission", address=hashed(email),
        purpose=purpose, source="website", proof="form 7",
    )  # fmt: skip
    return incoming(CONSENTS_RECEIVED, event_type, hashed(email), data, arrival or at)


def outcome(event_type: str = "lead.accepted", n: int = 1, at: datetime = NOW) -> Incoming:
    data = Outcome(
        occurred_at=at, recorded_at=at, cause_id="crm", correlation_id="submission", lead_id=lead_id(n),
        destination="crm",
    )  # fmt: skip
    return incoming(LEADS_OUTCOMES, event_type, lead_id(n), data, at)


def told(verdicts: list[Verdict]) -> list[Outgoing]:
    """Events of verdicts, in order."""
    return [event for verdict in verdicts if isinstance(verdict, Emit) for event in verdict.events]


@dataclass
class Nurture:
    """The service on a real database, driven by hand: its engine is tested elsewhere."""

    dsn: str
    settings: NurtureSettings = field(default_factory=lambda: NurtureSettings(secret=SECRET))
    book: Book = BOOK

    def __post_init__(self) -> None:
        migrate(self.dsn, "nurture", ("services.nurture",))
        self.gather = store.gatherer(SECRET)
        self.post = Post(self.settings, Letters(), Line(self.settings))
        self.session = self.connect()

    def connect(self) -> psycopg2.extensions.connection:
        return connect(self.dsn, "nurture", "test")

    def close(self) -> None:
        self.post.line.hang_up()
        self.session.close()

    def decide(self, *events: Incoming, now: datetime = NOW) -> list[Verdict]:
        with transaction(self.session) as cursor:
            world: World = self.gather(cursor, events, context(now, self.book))
            verdicts = [decide_event(event, world, context(now, self.book)) for event in events]
            store.apply(cursor, world)
        return verdicts

    def feed(self, *events: Incoming, now: datetime = NOW) -> list[Outgoing]:
        return told(self.decide(*events, now=now))

    def claim(self, now: datetime, applied: datetime | None = None) -> list[Any]:
        with transaction(self.session) as cursor:
            told = context(now, self.book, applied)
            return self.post.take(cursor, self.post.claim(cursor, told), told)

    def record(self, job: Any, result: Any, now: datetime) -> list[Outgoing]:
        with transaction(self.session) as cursor:
            return list(self.post.record(cursor, job, result, context(now, self.book)))

    def work(self, now: datetime, applied: datetime | None = None) -> list[Outgoing]:
        """One turn of the clock at `now`."""
        events: list[Outgoing] = []
        for job in self.claim(now, applied):
            events += self.record(job, self.post.call(job, context(now, self.book)), now)
        return events

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with transaction(self.session) as cursor:
            cursor.execute(query)
            return cursor.fetchall()


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
