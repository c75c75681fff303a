"""The inbox keeps every event once, as it came."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from unittest.mock import ANY

import psycopg2.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.runtime.decode import FOR_EVER, Entry
from services.runtime.fence import SQL
from services.runtime.inbox import Inbox
from services.runtime.postgres import Session, connect, migrate, select, transaction
from services.runtime.transport import Record
from services.runtime.verdict import Dead, Incoming
from tests.conftest import run_alone

NOW = datetime(2031, 5, 6, 10, 0, tzinfo=UTC)
BODIES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])).filter(bool)


@pytest.fixture
def schema(postgres: str) -> Iterator[str]:
    name = f"inbox_{uuid.uuid4().hex}"
    migrate(postgres, name, ["services.runtime"])
    yield name
    run_alone(postgres, f'DROP SCHEMA "{name}" CASCADE')


@pytest.fixture
def session(postgres: str, schema: str) -> Iterator[Session]:
    opened = connect(postgres, schema, "test-inbox")
    yield opened
    opened.close()


def entry(
    body: str = "{}", day: date = FOR_EVER, key: str = "k", repair: int = 0, body_hash: str | None = None
) -> Entry:
    event_id = str(uuid.uuid4())
    raw = body.encode()
    event = Incoming(event_id, "thing.happened", "test", key, None, "things.v1", 0, 0, NOW, event_id, day, raw)
    record = Record("things.v1", 0, 0, 0, key.encode(), raw, [])
    return Entry(record, event_id, day, event, repair=repair, body_hash=body_hash)


def moved(one: Entry, offset: int) -> Entry:
    """The same event, at another place."""
    return replace(one, record=replace(one.record, offset=offset))


def remember(session: Session, inbox: Inbox, *entries: Entry) -> list[Entry]:
    inbox.prepare(session, entries, NOW)
    with transaction(session) as cursor:
        return inbox.remember(cursor, entries)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(BODIES | st.sampled_from(["\\", "\\N", "a\tb", "a\nb\r", "\\.", '{"a":"\\n"}']), min_size=1))
def test_events_are_kept_to_the_byte(session: Session, bodies: list[str]) -> None:
    entries = [entry(body, key=body[:50]) for body in bodies]
    assert remember(session, Inbox(keep_data=True), *entries) == entries
    with transaction(session) as cursor:
        kept = select(cursor, "SELECT id, key, data, occurred_at FROM inbox")
        cursor.execute("TRUNCATE inbox")
    assert {row[0]: row[1:] for row in kept} == {
        e.inbox_id: (b[:50], b, NOW) for e, b in zip(entries, bodies, strict=True)
    }


@pytest.mark.parametrize("keep_data", [False, True])
def test_a_repeat_is_known_in_the_same_batch_and_in_the_next(session: Session, keep_data: bool) -> None:
    inbox, first, other = Inbox(keep_data=keep_data), entry(), entry(day=date(2031, 5, 6))
    again = moved(first, 1)
    assert remember(session, inbox, first, again, other) == [first, other]
    assert remember(session, inbox, again, other) == []


def test_the_same_id_of_another_day_is_another_event(session: Session) -> None:
    inbox, first = Inbox(keep_data=False), entry(day=date(2031, 5, 6))
    assert remember(session, inbox, first)
    assert remember(session, inbox, replace(first, day=date(2031, 5, 7)))


def days_of(session: Session) -> list[str]:
    with transaction(session) as cursor:
        return [row[0] for row in select(cursor, SQL["inbox_days"])]


@pytest.mark.parametrize(("keep_data", "left"), [(False, ["inbox_20310322", "inbox_20310506"]), (True, 4 * [ANY])])
def test_days_are_dropped_whole_once_nothing_of_them_can_come_again(
    session: Session, keep_data: bool, left: list[object]
) -> None:
    days = [date(2031, 3, 20), date(2031, 3, 21), date(2031, 3, 22)]
    for day in days:
        with transaction(session) as cursor:
            cursor.execute(
                f"CREATE TABLE inbox_{day:%Y%m%d} PARTITION OF inbox FOR VALUES FROM (%s) TO (%s)",
                (day, day + timedelta(days=1)),
            )
    known = entry()
    inbox = Inbox(keep_data=keep_data, days=45)
    assert remember(session, inbox, known, entry(day=NOW.date()))
    assert days_of(session) == left
    assert remember(session, inbox, known) == []  # what is remembered for ever


def test_an_event_of_a_day_that_another_worker_dropped_is_taken_all_the_same(session: Session) -> None:
    mine, other, old = Inbox(keep_data=False), Inbox(keep_data=False), date(2031, 1, 1)
    assert remember(session, mine, entry(day=old))
    assert remember(session, other, entry(day=NOW.date()))
    assert "inbox_20310101" not in days_of(session)
    assert remember(session, mine, entry(day=old))


@pytest.mark.parametrize("keep_data", [False, True])
def test_a_dead_one_is_let_in_again_once_per_repair_number(session: Session, keep_data: bool) -> None:
    inbox, dead = Inbox(keep_data=keep_data), entry("{broken")
    remember(session, inbox, dead)
    assert remember(session, inbox, replace(dead, repair=1)) == []  # done, not dead
    with transaction(session) as cursor:
        inbox.settle(cursor, {(dead.inbox_id, dead.day): ("dead", "schema")})
    mended = replace(entry("{}", repair=1), inbox_id=dead.inbox_id)
    assert remember(session, inbox, mended) == [mended]
    with transaction(session) as cursor:
        inbox.settle(cursor, {(dead.inbox_id, dead.day): ("dead", "schema")})
    assert remember(session, inbox, mended) == []
    assert remember(session, inbox, replace(mended, repair=2))
    with transaction(session) as cursor:
        assert select(cursor, "SELECT state, repair, data FROM inbox") == [("done", 2, "{}" if keep_data else None)]


def test_two_workers_with_one_event_do_not_both_keep_it(postgres: str, schema: str, session: Session) -> None:
    other, one = connect(postgres, schema, "test-other"), entry()
    try:
        with session.cursor() as cursor:
            assert Inbox(keep_data=False).remember(cursor, [one]) == [one]
            with other.cursor() as waiting:
                waiting.execute("SET LOCAL lock_timeout = '100ms'")
                with pytest.raises(psycopg2.errors.LockNotAvailable):
                    Inbox(keep_data=False).remember(waiting, [one])
        session.commit()
        other.rollback()
        with other.cursor() as late:
            assert Inbox(keep_data=False).remember(late, [one]) == []
    finally:
        other.close()


def test_a_body_that_the_database_cannot_hold_is_refused_as_data(session: Session) -> None:
    with pytest.raises((psycopg2.errors.CharacterNotInRepertoire, psycopg2.errors.UntranslatableCharacter, ValueError)):
        remember(session, Inbox(keep_data=True), entry("a\x00b"))


def test_an_id_that_comes_back_with_another_body_is_named(session: Session) -> None:
    inbox, first = Inbox(keep_data=False), entry(body_hash="a")
    remember(session, inbox, first)
    changed = replace(moved(first, 9), body_hash="b")
    (named,) = remember(session, inbox, changed)
    assert isinstance(named.dead, Dead)
    assert named.dead.reason == "id_reused"
    assert remember(session, inbox, changed) == []
