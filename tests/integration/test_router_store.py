"""The router's rows on a real PostgreSQL: what locks and constraints promise, seen from two sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from schemas.events.assignments import Assignment
from schemas.events.leads import Contact
from services.router import store
from services.router.service import FIRST_RESPONSE, PARKED, decide
from services.router.world import World
from services.runtime.postgres import Cursor, Session, connect, migrate, select, transaction
from services.runtime.service import DueRows
from services.runtime.verdict import Context, Emit, Incoming, Outgoing, Wait
from tests.router_leads import BODY, NOW, book, context, kinds, qualified, report, uid

LATER = NOW + timedelta(hours=5)
Connect = Callable[[], Session]


@pytest.fixture
def router(database: str) -> Iterator[Connect]:
    """Opens sessions on a migrated schema."""
    migrate(database, "router", ("services.router",))
    opened: list[Session] = []

    def session() -> Session:
        opened.append(connect(database, "router", "test"))
        return opened[-1]

    yield session
    for each in opened:
        each.close()


def batch(session: Session, *events: Incoming, rules: Context | None = None) -> list[Outgoing]:
    """One batch as the engine runs it; returns what it emits."""
    at = rules or context()
    with transaction(session) as cursor:
        world = store.gather(cursor, events, at)
        emitted = decide_all(events, world, at)
        store.apply(cursor, world)
    return emitted


def decide_all(events: Sequence[Incoming], world: World, at: Context) -> list[Outgoing]:
    verdicts = [decide(event, world, at) for event in events]
    return [out for verdict in verdicts if isinstance(verdict, Emit) for out in verdict.events]


def fire(session: Session, clock: DueRows, at: Context) -> list[Outgoing]:
    with transaction(session) as cursor:
        return fired(cursor, clock, at)


def fired(cursor: Cursor, clock: DueRows, at: Context) -> list[Outgoing]:
    rows = clock.claim(cursor, at)
    return list(clock.fire(cursor, rows, at)) if rows else []


def rows(session: Session, sql: str) -> list[tuple[object, ...]]:
    with transaction(session) as cursor:
        return select(cursor, sql)


def assignments(events: Sequence[Outgoing]) -> list[Assignment]:
    kinds = ("lead.assigned", "lead.reassigned")
    return [Assignment.model_validate_json(e.value or "") for e in events if e.type in kinds]


def test_a_lead_lives_through_its_rows(router: Connect) -> None:
    """Assigned, updated, accepted, won: each batch reads what the one before wrote."""
    session = router()
    told = [
        *batch(session, qualified(1)),
        *batch(session, qualified(1, version=2, kind="lead.attached")),
        *batch(session, report(1, "lead.stage_changed", stage="offer")),
        *batch(session, report(1, "lead.won")),
    ]
    assert kinds(told) == [
        "lead.assigned", "lead.updated", "lead.stage_changed", "lead.won", "lead.closed"
    ]  # fmt: skip
    assert rows(session, "SELECT version, seen_version, state, rep_id, holders, stage FROM lead") == [
        (3, 2, "closed", None, "ana:crm", "won")
    ]
    assert rows(session, "SELECT open_leads, number FROM rep WHERE rep_id = 'ana'") == [(0, 1)]


def test_what_was_published_last_is_read_back_only_where_it_is_newer(router: Connect) -> None:
    session = router()
    told = batch(session, qualified(1), qualified(1, version=2), qualified(2))
    batch(session, report(3, "lead.won"))
    with transaction(session) as cursor:
        found = store.published(cursor, {uid(1): 1, uid(2): 1, uid(3): 0})
    last = told[1]
    assert [(p.key, p.version, p.id, p.type, p.value) for p in found] == [
        (last.key, 2, last.id, "lead.updated", last.value)
    ]


def test_an_outcome_before_its_lead_leaves_a_bare_row_and_counts_once_the_lead_is_known(router: Connect) -> None:
    session, early = router(), report(1, "lead.accepted")
    at = context()
    with transaction(session) as cursor:
        world = store.gather(cursor, [early], at)
        assert decide(early, world, at) == Wait(uid(1))
        store.apply(cursor, world)
    assert rows(session, "SELECT version, state FROM lead") == [(0, "unknown")]
    assert kinds(batch(session, qualified(1), early)) == ["lead.assigned", "lead.accepted"]


def test_reps_are_locked_only_for_batches_that_choose_or_free(router: Connect) -> None:
    session, other = router(), router()
    batch(session, qualified(1))
    with closing(other.cursor()) as cursor:
        cursor.execute("SELECT FROM rep FOR UPDATE")
        quiet = batch(session, qualified(1, version=2), report(1, "lead.accepted"))
        assert kinds(quiet) == ["lead.updated", "lead.accepted"]
        with transaction(session) as blocked:
            blocked.execute("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                store.gather(blocked, [qualified(2)], context())
    other.rollback()


def test_two_workers_choosing_at_once_leave_no_gap_and_exceed_no_cap(router: Connect) -> None:
    """Four workers route 160 leads to reps that hold 60 together; each load can be recounted."""
    rules = context(rules=book(BODY.replace("capacity: 100", "capacity: 20")))
    told: list[Outgoing] = []

    def work(first: int) -> None:
        session = router()
        for start in range(first, first + 40, 5):
            told.extend(batch(session, *(qualified(n) for n in range(start, start + 5)), rules=rules))

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200, 300, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert kinds(told).count("lead.assigned") == 60
    assert kinds(told).count("lead.parked") == 100
    for rep_id in ("ana", "beto", "cleo"):
        owned = sorted(
            (a.owner for a in assignments(told) if a.owner and a.owner.rep_id == rep_id), key=lambda o: o.number
        )
        assert [(o.number, o.load, o.capacity) for o in owned] == [(n, n - 1, 20) for n in range(1, 21)]
    counted = "SELECT rep_id, count(*) FROM lead WHERE state = 'assigned' GROUP BY 1 ORDER BY 1"
    session = router()
    assert rows(session, counted) == rows(session, "SELECT rep_id, open_leads FROM rep WHERE open_leads > 0 ORDER BY 1")


def test_the_clock_passes_by_a_lead_whose_acceptance_is_being_written(router: Connect) -> None:
    worker, clock = router(), router()
    batch(worker, qualified(1))
    accepted, late = report(1, "lead.accepted"), context(LATER, LATER)
    with transaction(worker) as cursor:
        world = store.gather(cursor, [accepted], context())
        assert fire(clock, FIRST_RESPONSE, late) == []
        decide_all([accepted], world, context())
        store.apply(cursor, world)
    assert fire(clock, FIRST_RESPONSE, late) == []
    assert rows(clock, "SELECT rep_id, respond_by FROM lead") == [("ana", None)]


def test_an_acceptance_that_meets_the_clock_at_work_is_judged_by_the_new_owner(router: Connect) -> None:
    """The worker waits for the clock, then sees that the lead has gone on: Ana no longer speaks for it."""
    worker, clock = router(), router()
    batch(worker, qualified(1))
    told: list[Outgoing] = []
    late = threading.Thread(target=lambda: told.extend(batch(worker, report(1, "lead.accepted", rep_id="ana"))))
    with transaction(clock) as cursor:
        moved = fired(cursor, FIRST_RESPONSE, context(LATER, LATER))
        late.start()
        late.join(0.3)
        assert late.is_alive()
    late.join(10)
    assert kinds([*moved, *told]) == ["lead.reassigned", "lead.accepted"]
    assert rows(clock, "SELECT rep_id <> 'ana', respond_by IS NOT NULL FROM lead") == [(True, True)]


def test_no_deadline_fires_before_everything_up_to_it_is_applied(router: Connect) -> None:
    session = router()
    batch(session, qualified(1))
    deadline = NOW + timedelta(minutes=15)
    assert fire(session, FIRST_RESPONSE, context(LATER, None)) == []
    assert fire(session, FIRST_RESPONSE, context(LATER, deadline - timedelta(seconds=1))) == []
    (moved,) = fire(session, FIRST_RESPONSE, context(LATER, deadline))
    (told,) = assignments([moved])
    assert (told.due_at, told.applied_until) == (deadline, deadline)


def test_two_clocks_share_the_due_leads(router: Connect) -> None:
    session, other = router(), router()
    batch(session, *(qualified(n) for n in range(6)))
    at = context(LATER, LATER)
    with transaction(session) as cursor:
        first = fired(cursor, FIRST_RESPONSE, at)
        assert fire(other, FIRST_RESPONSE, at) == []
    assert kinds(first) == ["lead.reassigned"] * 6
    assert fire(other, FIRST_RESPONSE, at) == []


@pytest.mark.parametrize(("clock", "due"), [(FIRST_RESPONSE, "respond_by"), (PARKED, "retry_at")])
def test_a_due_lead_is_put_off(router: Connect, clock: DueRows, due: str) -> None:
    session = router()
    south = Contact(country="ES", postcode="41001")
    batch(session, qualified(1, contact=south), qualified(2, contact=south))
    later = LATER + timedelta(minutes=10)
    with transaction(session) as cursor:
        cursor.execute("UPDATE lead SET rules_version = 'old'")  # makes the parked one due
        claimed = clock.claim(cursor, context(LATER, LATER))
        clock.put_off(cursor, claimed[0], later)
        assert clock.claim(cursor, context(LATER, LATER)) == claimed[1:] == []
    assert rows(session, f"SELECT count(*) FROM lead WHERE {due} = '{later.isoformat()}'") == [(1,)]


def test_parked_leads_are_left_alone_until_somebody_in_their_pool_is_free(router: Connect) -> None:
    session = router()
    south = Contact(country="ES", postcode="41001")
    told = batch(session, qualified(1, contact=south), qualified(2, contact=south))
    assert kinds(told) == ["lead.assigned", "lead.parked"]
    at = context(LATER, LATER)
    assert fire(session, PARKED, at) == []
    batch(session, report(1, "lead.lost"))
    (assigned,) = fire(session, PARKED, at)
    assert (assigned.type, assigned.key) == ("lead.assigned", uid(2))
    assert fire(session, PARKED, at) == []


@pytest.mark.parametrize(
    ("old", "new"), [("default_pool: north\n", ""), ("capacity: 100", "capacity: 100, product_lines: [baths]")]
)
def test_new_rules_give_parked_leads_another_try_and_new_reps_a_row(router: Connect, old: str, new: str) -> None:
    session = router()
    nobody = context(rules=book(BODY.replace(old, new)))
    assert kinds(batch(session, qualified(1), rules=nobody)) == ["lead.parked"]
    assert fire(session, PARKED, Context(LATER, nobody.books, LATER)) == []
    renamed = book(BODY.replace("id: ana", "id: nora"))
    (assigned,) = fire(session, PARKED, context(LATER, LATER, renamed))
    assert assignments([assigned])[0].owner.rep_id == "nora"  # type: ignore[union-attr]  # an assigned lead has one
    assert fire(session, PARKED, context(LATER, LATER)) == []


def test_a_lead_whose_rep_has_left_the_book_can_still_be_closed(router: Connect) -> None:
    session = router()
    batch(session, qualified(1))
    gone = context(rules=book(BODY.replace("id: ana", "id: nora")))
    assert kinds(batch(session, report(1, "lead.won"), rules=gone)) == ["lead.won", "lead.closed"]
    assert rows(session, "SELECT open_leads FROM rep WHERE rep_id = 'ana'") == [(0,)]


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE lead SET rep_id = NULL",
        "UPDATE lead SET state = 'parked', rep_id = NULL",
        "UPDATE lead SET state = 'stolen'",
        "UPDATE rep SET open_leads = -1",
    ],
)
def test_the_tables_themselves_refuse_what_must_not_be(router: Connect, wrong: str) -> None:
    session = router()
    batch(session, qualified(1))
    with pytest.raises(psycopg2.errors.CheckViolation), transaction(session) as cursor:
        cursor.execute(wrong)
