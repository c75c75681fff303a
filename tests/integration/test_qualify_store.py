from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import psycopg2.errors
import pytest

from schemas.identity import address_hash
from services.qualify.service import build
from services.qualify.settings import QualifySettings
from services.qualify.world import World
from services.runtime.postgres import Cursor, Session, connect, migrate, select, transaction
from services.runtime.verdict import Drop, Incoming, Verdict, Wait
from tests.qualify_events import (
    CONTEXT,
    EMAIL,
    NOW,
    PHONE,
    SECRET,
    activity,
    days,
    email_hash,
    events_of,
    lead,
    outcome,
    retraction,
    types_of,
)  # fmt: skip

SERVICE = build(QualifySettings(secret=SECRET))


@pytest.fixture
def dsn(database: str) -> str:
    migrate(database, "qualify", ("services.qualify",))
    return database


@pytest.fixture
def session(dsn: str) -> Iterator[Session]:
    found = connect(dsn, "qualify", "test")
    yield found
    found.close()


def handle(cursor: Cursor, events: Sequence[Incoming]) -> list[Verdict]:
    """What the engine does with a batch between fence and inbox."""
    world = SERVICE.gather(cursor, events, CONTEXT)
    verdicts = [SERVICE.decide(event, world, CONTEXT) for event in events]
    SERVICE.apply(cursor, world)
    return verdicts


def batch(session: Session, *events: Incoming) -> list[Verdict]:
    with transaction(session) as cursor:
        return handle(cursor, events)


def rows(session: Session, sql: str) -> list[tuple[object, ...]]:
    with transaction(session) as cursor:
        return select(cursor, sql)


OPEN_LEADS = "SELECT count(*), count(DISTINCT person_id) FROM lead WHERE status = 'open'"
PEOPLE = "SELECT count(*) FROM person"


def test_a_batch_decides_as_single_events_do(database: str) -> None:
    events = [
        lead(1), lead(2, contact={"city": "Madrid"}), lead(3, email="eva@example.org", phone=None), activity(4),
        lead(5, is_test=True), lead(6, email=None, phone=None), lead(7, email="eva@example.org"),
        retraction(8, activity(4)),
    ]  # fmt: skip
    results = []
    for schema, size in (("together", len(events)), ("alone", 1)):
        migrate(database, schema, ("services.qualify",))
        session = connect(database, schema, "test")
        batches = [events[i : i + size] for i in range(0, len(events), size)]
        results.append([verdict for part in batches for verdict in batch(session, *part)])
        session.close()
    assert results[0] == results[1]


def test_what_was_decided_is_read_back_by_the_next_batch(session: Session) -> None:
    (first,) = batch(session, lead(1, contact={"full_name": "Ana Example"}))
    (second,) = batch(session, lead(2, message="Call me"))
    (attached,) = events_of(second)
    assert (attached.type, attached.key, attached.version) == ("lead.attached", events_of(first)[1].key, 2)
    assert attached.data.lead.contact.full_name == "Ana Example"  # type: ignore[union-attr]
    assert rows(session, "SELECT version, submissions FROM person") == [(1, 2)]


def test_each_submission_has_exactly_one_end_state(session: Session) -> None:
    batch(session, lead(1), lead(2), lead(3, is_test=True), lead(4, email=None, phone=None))
    batch(session, lead(5, email="a@mailinator.com"), lead(6, product="repair"))
    states = [state for (state,) in rows(session, "SELECT end_state FROM submission ORDER BY submission_id")]
    assert states == ["opened", "attached", "test", "interest", "disqualified", "opened"]


@pytest.mark.parametrize("asked_before", [False, True])
def test_two_workers_with_one_new_person_open_one_lead(dsn: str, session: Session, asked_before: bool) -> None:
    """Same phone, other e-mail: other identity hash, so other partitions and other workers.

    Where an activity asked for the phone before, its placeholder stands and must be locked; else it is inserted.
    """
    if asked_before:
        batch(session, activity(9, identity=address_hash(SECRET, "phone", PHONE)))
    _, two = race(dsn, session, lead(1), lead(2, email="ana.work@example.com"))
    assert types_of(two) == ["person.changed", "lead.attached"]
    assert rows(session, PEOPLE) == [(1,)]
    assert rows(session, OPEN_LEADS) == [(1, 1)]


def test_an_order_and_an_enquiry_at_once_lose_neither(dsn: str, session: Session) -> None:
    (opened,) = batch(session, lead(1))
    order = outcome(2, events_of(opened)[1].key, "order.placed")
    _, two = race(dsn, session, order, lead(3, contact={"city": "Madrid"}))
    person = events_of(two)[0]
    assert (person.version, person.data.customer, person.data.contact.city) == (3, True, "Madrid")  # type: ignore[union-attr]


def race(dsn: str, session: Session, one: Incoming, two: Incoming) -> tuple[Verdict, Verdict]:
    """Handle both in sessions of their own: the second starts when the first has gathered, and must wait for it."""
    gathered, may_go_on = Event(), Event()

    def first() -> Verdict:
        mine = connect(dsn, "qualify", "first")
        with transaction(mine) as cursor:
            world: World = SERVICE.gather(cursor, [one], CONTEXT)
            gathered.set()
            assert may_go_on.wait(5)
            verdict = SERVICE.decide(one, world, CONTEXT)
            SERVICE.apply(cursor, world)
        mine.close()
        return verdict

    def second() -> Verdict:
        mine = connect(dsn, "qualify", "second")
        assert gathered.wait(5)
        (verdict,) = batch(mine, two)
        mine.close()
        return verdict

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first), pool.submit(second)
        assert gathered.wait(5)
        wait_until_blocked(session)
        may_go_on.set()
        return running[0].result(10), running[1].result(10)


def wait_until_blocked(session: Session) -> None:
    """Return once some session waits for a lock; fail after about 3 s."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(300):
        if rows(session, f"SELECT pg_sleep(0.01), ({blocked})")[0][1]:
            return
    pytest.fail("nobody waited: the second worker did not meet the first one's rows")


def test_many_workers_with_overlapping_people_neither_deadlock_nor_open_twice(dsn: str, session: Session) -> None:
    workers, size, start = 4, 40, Barrier(4)

    def work(worker: int) -> None:
        mine = connect(dsn, "qualify", f"worker-{worker}")
        start.wait(5)
        for turn in range(3):
            order = range(size) if worker % 2 else reversed(range(size))
            batch(mine, *(
                lead(1 + i + size * (turn + 3 * worker), email=f"p{i}.w{worker}@example.org", phone=f"+346000{i:05d}")
                for i in order
            ))  # fmt: skip
        mine.close()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    assert rows(session, PEOPLE) == [(size,)]
    assert rows(session, OPEN_LEADS) == [(size, size)]
    assert rows(session, "SELECT sum(version), count(*) FROM lead") == [(workers * 3 * size, size)]
    assert rows(session, "SELECT count(DISTINCT person_id), count(*) FROM identifier") == [(size, size * (workers + 1))]


def test_the_database_refuses_a_second_open_lead_of_a_person_and_product_line(session: Session) -> None:
    batch(session, lead(1))
    with pytest.raises(psycopg2.errors.UniqueViolation, match="one_open_lead"), transaction(session) as cursor:
        cursor.execute(
            "INSERT INTO lead SELECT gen_random_uuid(), person_id, product_line, 'open', 1, document, 0, NULL FROM lead"
        )


def test_a_lead_closed_and_another_opened_in_one_batch_are_both_kept(session: Session) -> None:
    (opened,) = batch(session, lead(1))
    old = events_of(opened)[1].key
    for n in range(2, 12, 2):  # new ids sort before and after the old one
        closed, new = batch(session, outcome(n, old, "lead.lost"), lead(n + 1))
        assert (types_of(closed), types_of(new)) == (["lead.rescored"], ["lead.qualified"])
        old = events_of(new)[0].key
    assert rows(session, "SELECT status, count(*) FROM lead GROUP BY 1 ORDER BY 1") == [("lost", 5), ("open", 1)]


def test_who_asked_in_vain_in_an_earlier_batch_gets_a_lead_beside_the_closed_one(session: Session) -> None:
    (opened,) = batch(session, lead(1))
    old = events_of(opened)[1].key
    for n in range(2, 12, 2):  # new ids sort before and after the old one
        batch(session, lead(n, origin={"source": "fair"}))
        (closed,) = batch(session, outcome(n + 1, old, "lead.lost", seen=1))
        assert types_of(closed) == ["lead.rescored", "lead.qualified"]
        old = events_of(closed)[1].key
    assert rows(session, "SELECT status, count(*) FROM lead GROUP BY 1 ORDER BY 1") == [("lost", 5), ("open", 1)]
    assert rows(session, "SELECT end_state, count(*) FROM submission GROUP BY 1 ORDER BY 1") == [
        ("attached", 5), ("opened", 1)]  # fmt: skip


def test_an_activity_that_came_first_finds_its_person_later(session: Session) -> None:
    click = activity(1)
    assert batch(session, click) == [Wait(email_hash(EMAIL))]
    _, woken = batch(session, lead(2), click)
    assert types_of(woken) == ["activity.recorded", "lead.rescored"]


def test_an_activity_and_an_enquiry_of_a_new_person_meet_on_the_address_hash(dsn: str, session: Session) -> None:
    with transaction(session) as cursor:
        assert handle(cursor, [activity(1)]) == [Wait(email_hash(EMAIL))]
        other = connect(dsn, "qualify", "other")
        other.cursor().execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            SERVICE.gather(other.cursor(), [lead(2)], CONTEXT)
        other.close()


def test_a_submission_set_aside_leaves_its_addresses_to_the_next(session: Session) -> None:
    batch(session, lead(1, email="a@mailinator.com"))
    assert rows(session, PEOPLE) == [(0,)]
    (later,) = batch(session, lead(2))
    assert types_of(later) == ["person.changed", "lead.qualified"]
    assert rows(session, "SELECT count(*) FROM identifier JOIN person USING (person_id)") == [(2,)]


def test_a_retraction_in_a_later_batch_takes_the_points_from_a_closed_lead_too(session: Session) -> None:
    click = activity(2, at=NOW - days(14))
    opened, _ = batch(session, lead(1), click)
    lead_id = events_of(opened)[1].key
    batch(session, outcome(3, lead_id, "lead.lost"))
    (taken_back,) = batch(session, retraction(4, click))
    recorded, rescored = events_of(taken_back)
    assert recorded.data.points == -5  # type: ignore[union-attr]
    assert (rescored.data.lead.engagement, rescored.data.lead.status) == (0, "lost")  # type: ignore[union-attr]
    assert batch(session, retraction(5, click)) == [Drop("already_retracted")]


def test_points_that_change_no_score_are_kept_all_the_same(session: Session) -> None:
    batch(session, lead(1), activity(2, kind="meeting"), activity(3, kind="meeting"), activity(4, kind="meeting"))
    (beyond,) = batch(session, activity(5))
    assert types_of(beyond) == ["activity.recorded"]
    assert rows(session, "SELECT points, version FROM lead") == [(65.0, 4)]


def test_the_published_record_is_the_one_in_the_table(session: Session) -> None:
    (verdict,) = batch(session, lead(1))
    person = events_of(verdict)[0]
    with transaction(session) as cursor:
        read = SERVICE.published["people.changed.v1"]
        (found,) = read(cursor, {person.key: 0})
        assert read(cursor, {person.key: 1}) == []
    assert (found.key, found.version, found.id, found.type) == (person.key, 1, person.id, "person.changed")
    assert found.value == person.value
