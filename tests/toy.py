"""A small service for tests of the engine, in the shape of a real one: gather, decide, apply, clocks.

It counts the submissions of each identity and tells the state of that person on a compacted topic. What a submission
says decides its fate: `drop`, `dead`, `poison` (deciding raises), `refused`, `divided` (PostgreSQL refuses the data),
`large` (its event does not fit on the log), `remind` (a due row one hour later). An activity waits until its identity
is known, and counts too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, ConfigDict

from schemas import codec
from schemas.events.activities import ActivityReceived
from schemas.events.leads import Contact, LeadReceived, Origin
from schemas.events.people import PersonChanged
from schemas.topics import (
    ACTIVITIES_RECEIVED,
    DEADLETTERS,
    LEADS_RECEIVED,
    PEOPLE_CHANGED,
    RULES_PUBLISHED,
    Topic,
    destination_outcomes,
    source_topic,
)
from services.runtime.postgres import Cursor, select
from services.runtime.service import Call, DueRows, Published, Service
from services.runtime.transport import Message
from services.runtime.verdict import Context, Dead, Drop, Emit, Incoming, Outgoing, Verdict, Wait, outgoing

FOREIGN = destination_outcomes("toy")
PLATFORM = source_topic("toy")
INPUTS = (LEADS_RECEIVED, ACTIVITIES_RECEIVED, FOREIGN, PLATFORM)
TOPICS: tuple[Topic, ...] = (*INPUTS, PEOPLE_CHANGED, DEADLETTERS, RULES_PUBLISHED)
START = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
PATIENCE = timedelta(hours=1)

TABLES = """
CREATE TABLE person (identity text PRIMARY KEY, submissions int NOT NULL DEFAULT 0, activities int NOT NULL DEFAULT 0,
    version int NOT NULL DEFAULT 0, event_id text, value text);
CREATE TABLE reminder (identity text PRIMARY KEY, due_at timestamptz NOT NULL, note text CHECK (note <> 'refused'));
CREATE TABLE errand (id text PRIMARY KEY, leased_until timestamptz, answer text);
"""


class ToyRules(BaseModel):
    """Rules of the toy: a name, so that a decision can cite it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    greeting: str


@dataclass(slots=True)
class Person:
    """One row, and the events that changed it."""

    identity: str
    submissions: int
    activities: int
    version: int
    told: Outgoing | None = None
    reminder: tuple[datetime, str] | None = None
    divided: bool = False


@dataclass(slots=True)
class World:
    """All that a batch needs."""

    people: dict[str, Person] = field(default_factory=dict)


def gather(cursor: Cursor, events: Sequence[Incoming], _: Context) -> World:
    """Placeholders first, then every row locked."""
    identities = sorted({e.key for e in events})
    cursor.execute(
        "INSERT INTO person (identity) SELECT unnest(%s::text[]) ORDER BY 1 ON CONFLICT DO NOTHING", (identities,)
    )
    rows = select(
        cursor, "SELECT identity, submissions, activities, version FROM person WHERE identity = ANY(%s) "
        "ORDER BY identity FOR UPDATE", (identities,))  # fmt: skip
    return World({row[0]: Person(*row) for row in rows})


def decide(event: Incoming, world: World, context: Context) -> Verdict:
    """Count, unless the submission says otherwise."""
    person = world.people[event.key]
    if isinstance(event.data, ActivityReceived):
        return _count_activity(event, person, context)
    if not isinstance(event.data, LeadReceived):
        return Drop("not_ours")
    wish = event.data.message
    if wish == "poison":
        person.version += 100
        raise RuntimeError("poison")
    if wish == "drop":
        return Drop("unwanted")
    if wish == "dead":
        return Dead("impossible", "the message asked for it")
    if wish == "large":
        person.version += 1
        return Emit((_tell(person, event.id, event.timestamp, context, "x" * 2_000_000),))
    if wish in ("remind", "refused"):
        person.reminder = (event.data.occurred_at + PATIENCE, wish)
    person.divided |= wish == "divided"
    person.submissions += 1
    person.version += 1
    person.told = _tell(person, event.id, event.timestamp, context)
    return Emit((person.told,))


def apply(cursor: Cursor, world: World) -> None:
    """All changed rows at once."""
    changed = [p for p in world.people.values() if p.told]
    for p in changed:
        assert p.told
        cursor.execute(
            "UPDATE person SET submissions = %s, activities = %s, version = %s, event_id = %s, value = %s "
            "WHERE identity = %s",
            (p.submissions, p.activities, p.version, p.told.id, p.told.value, p.identity))  # fmt: skip
        if p.reminder:
            cursor.execute("INSERT INTO reminder VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (p.identity, *p.reminder))
        if p.divided:
            cursor.execute("SELECT 1 / 0")


def published(cursor: Cursor, versions: Mapping[str, int]) -> Sequence[Published]:
    """People whose row is ahead."""
    rows = select(
        cursor, "SELECT identity, version, event_id, 'person.changed', value FROM person "
        "JOIN unnest(%s::text[], %s::int[]) AS w (identity, known) USING (identity) "
        "WHERE version > known AND event_id IS NOT NULL", (list(versions), list(versions.values())))  # fmt: skip
    return [Published(*row) for row in rows]


def due_reminders(cursor: Cursor, context: Context) -> Sequence[tuple[str, str]]:
    """Reminders whose time has come."""
    if context.applied_until is None:
        return ()
    return select(
        cursor, "SELECT identity, note FROM reminder WHERE due_at <= %s FOR UPDATE SKIP LOCKED",
        (min(context.now, context.applied_until),))  # fmt: skip


def remind(cursor: Cursor, rows: Sequence[tuple[str, str]], context: Context) -> Sequence[Outgoing]:
    """One more version of each person; a note may say that its row cannot be decided, or not be written."""
    events = []
    for identity, note in sorted(rows):
        cursor.execute("DELETE FROM reminder WHERE identity = %s", (identity,))
        if note == "poison":
            raise RuntimeError("poison")
        if note == "divided":
            cursor.execute("SELECT 1 / 0")
        if note == "slow":
            cursor.execute("SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)")
        (row,) = select(
            cursor, "SELECT identity, submissions, activities, version + 1 FROM person WHERE identity = %s FOR UPDATE",
            (identity,))  # fmt: skip
        event = _tell(Person(*row), f"reminder of {identity}", context.now, context)
        cursor.execute(
            "UPDATE person SET version = version + 1, event_id = %s, value = %s WHERE identity = %s",
            (event.id, event.value, identity))  # fmt: skip
        events.append(event)
    return events


def put_off(cursor: Cursor, row: tuple[str, str], until: datetime) -> None:
    """Remind later."""
    cursor.execute("UPDATE reminder SET due_at = %s WHERE identity = %s", (until, row[0]))


def claim(cursor: Cursor, context: Context) -> Sequence[str]:
    """Errands nobody has answered, with a lease of a minute."""
    sql = """UPDATE errand SET leased_until = %s
        WHERE answer IS NULL AND coalesce(leased_until, '-infinity') <= %s RETURNING id"""
    return [row[0] for row in select(cursor, sql, (context.now + timedelta(minutes=1), context.now))]


def record(cursor: Cursor, errand: str, answer: str, _: Context) -> Sequence[Outgoing]:
    """The answer; nothing is told."""
    cursor.execute("UPDATE errand SET answer = %s WHERE id = %s", (answer, errand))
    return ()


def toy(*, books: bool = False, **changes: Any) -> Service:
    """The service; `books` makes it need a rule book."""
    parts: dict[str, Any] = {
        "gather": gather, "decide": decide, "apply": apply, "published": {PEOPLE_CHANGED.name: published},
        "clocks": (
            DueRows("remind", timedelta(0), due_reminders, remind, put_off),
            Call("errand", timedelta(0), claim, lambda errand, _: f"done {errand}", record),
        ),
        "books": {"toy": ToyRules} if books else {}, "for_ever": frozenset({LEADS_RECEIVED.name}),
    }  # fmt: skip
    return Service("toy", **({"inputs": INPUTS} | parts | changes))


def submission(who: str, wish: str = "", n: int = 0, *, body: str = "body", repair: int = 0) -> Message:
    """The `n`-th submission of a person, as intake would write it."""
    event_id = str(uuid5(NAMESPACE_URL, f"{who} {wish} {n}"))
    data = LeadReceived(
        occurred_at=START, recorded_at=START, cause_id=event_id, correlation_id=event_id, source="site", identity=who,
        origin=Origin(source="site"), contact=Contact(email="ana@example.com"), message=wish, body_hash=body, raw="{}",
    )  # fmt: skip
    return _message(LEADS_RECEIVED, who, event_id, "lead.received", data, repair)


def activity(who: str, kind: str = "call", n: int = 0, recorded_at: datetime = START) -> Message:
    """The `n`-th activity of a person."""
    event_id = str(uuid5(NAMESPACE_URL, f"{kind} {who} {n}"))
    data = ActivityReceived(
        occurred_at=START, recorded_at=recorded_at, cause_id=event_id, correlation_id=event_id, source="site",
        identity=who, activity=kind)  # fmt: skip
    return _message(ACTIVITIES_RECEIVED, who, event_id, "activity.received", data)


def _count_activity(event: Incoming, person: Person, context: Context) -> Verdict:
    if not person.submissions:
        return Wait(person.identity)
    if event.data.activity == "poison":
        raise RuntimeError("poison")
    person.activities += 1
    person.version += 1
    person.told = _tell(person, event.id, event.timestamp, context)
    return Emit((person.told,))


def _tell(person: Person, cause: str, at: datetime, context: Context, filler: str | None = None) -> Outgoing:
    book = context.books.get("toy")
    event = PersonChanged(
        occurred_at=at, recorded_at=at, cause_id=cause, correlation_id=cause, version=person.version,
        person_id=person.identity, contact=Contact(full_name=filler), first_seen_at=START,
        submissions=person.submissions, rules_version=book.version if book else None,
    )  # fmt: skip
    return outgoing(PEOPLE_CHANGED, "person.changed", person.identity, event)


def _message(topic: Topic, key: str, event_id: str, event_type: str, data: BaseModel, repair: int = 0) -> Message:
    headers = codec.write(event_id, event_type, "caudal/intake")
    if repair:
        headers.append(("caudal_repair", str(repair).encode()))
    return Message(topic.name, key.encode(), data.model_dump_json().encode(), headers)
