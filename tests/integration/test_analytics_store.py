"""Analytics on real PostgreSQL: facts once, aggregates always equal to a recount."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import reduce

import pytest

from schemas.events.event import derived_id
from services.analytics.contribution import Arrival, Standing
from services.analytics.recount import differences
from services.analytics.reports.deadletters import dead_records, deadletters, resolve
from services.analytics.reports.funnel import funnel
from services.analytics.reports.money import Money
from services.analytics.reports.question import Question
from services.analytics.reports.speed import speed
from services.analytics.reports.submissions import submissions
from services.analytics.rows import (
    END_STATES,
    Assigned,
    Closing,
    Holder,
    Lead,
    Qualified,
    Submission,
    merge_leads,
    merge_submissions,
)
from services.analytics.store import SQL, apply, prune
from services.analytics.timeline import find_leads, timeline
from services.analytics.world import World
from services.runtime.postgres import connect, migrate, select, transaction
from services.runtime.verdict import Context
from tests.analytics_feed import REPS, SECRET, START, Feed, Story
from tests.analytics_rows import arrival, standing

MARCH = Question(date(2026, 3, 1), date(2026, 4, 1))
HOSTILE = (
    "",
    "plain",
    'qu"ote',
    "back\\slash",
    "com,ma (paren)",
    "new\nline",
    "ñ €",
    "'; DROP TABLE lead --",
    "{}",
    "NULL",
)


@pytest.fixture
def feed(database: str) -> Iterator[Feed]:
    opened = Feed(database)
    yield opened
    opened.close()


def rows(feed: Feed, sql: str) -> list[tuple[object, ...]]:
    with transaction(feed.session) as cursor:
        return select(cursor, sql)


def partials(seed: int, n: int) -> tuple[list[Lead], list[Submission]]:
    """Many partial accounts of few leads and submissions, in any order, with hostile texts."""
    rnd = random.Random(seed)

    def word() -> str:
        return rnd.choice(HOSTILE)

    def moment() -> object:
        return START + timedelta(milliseconds=rnd.randint(0, 10**8))

    def maybe(value: object) -> object:
        return value if rnd.random() < 0.5 else None

    leads = [
        Lead(
            f"lead{rnd.randint(0, 9)}",
            maybe(Qualified(rnd.randint(1, 4), moment(), word(), word(), word(), word(), word(), rnd.random() < 0.1)),  # type: ignore[arg-type]
            maybe(Assigned(rnd.randint(1, 4), rnd.choice(("assigned", "parked", "closed")))),  # type: ignore[arg-type]
            maybe(Holder(rnd.randint(1, 4), word(), word(), word())),  # type: ignore[arg-type]
            maybe(Closing(moment(), rnd.choice(("won", "lost", "returned")), rnd.randint(0, 10**6), word())),  # type: ignore[arg-type]
            maybe(moment()), maybe(moment()),  # type: ignore[arg-type]
        )
        for _ in range(n)
    ]  # fmt: skip
    told = []
    for _ in range(n):
        name, state = f"s{rnd.randint(0, 9)}", rnd.choice(END_STATES)
        lead_id = None if state == "accepted" else f"of-{state}"
        submission = Submission(name, end_state=state, lead_id=lead_id, assigned_at=maybe(moment()))  # type: ignore[arg-type]
        arrived = submission._replace(received_at=START, source=HOSTILE[int(name[1:])], fact=derived_id(name, "fact"))
        told.append(arrived if rnd.random() < 0.5 else submission)
    return leads, told


def tell(dsn: str, shard: int, leads: list[Lead], told: list[Submission]) -> None:
    """Apply accounts in batches, as one worker."""
    session = connect(dsn, "analytics", f"test-{shard}")
    try:
        for start in range(0, len(leads), 7):
            world = World(shard)
            for lead in leads[start : start + 7]:
                world.tell_lead(lead)
            for submission in told[start : start + 7]:
                world.tell_submission(submission)
            with transaction(session) as cursor:
                apply(cursor, world)
    finally:
        session.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_database_merges_as_python_does_and_two_workers_at_once_lose_nothing(database: str, seed: int) -> None:
    migrate(database, "analytics", ("services.runtime", "services.analytics"))
    leads, told = partials(seed, 140)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(tell, database, w, leads[w::2], told[w::2]) for w in (0, 1)]:
            done.result(timeout=60)
    by_lead = {i: reduce(merge_leads, [x for x in leads if x.lead_id == i]) for i in {x.lead_id for x in leads}}
    names = {x.submission_id for x in told}
    by_submission = {i: reduce(merge_submissions, [x for x in told if x.submission_id == i]) for i in names}
    session = connect(database, "analytics", "test")
    with transaction(session) as cursor:
        assert {Standing(*r) for r in select(cursor, SQL["standings"])} == {standing(x) for x in by_lead.values()}
        assert {Arrival(*r) for r in select(cursor, SQL["arrivals"])} == {arrival(x) for x in by_submission.values()}
        found = dict(select(cursor, "SELECT submission_id, lead_id FROM submission"))
    assert found == {i: s.lead_id for i, s in by_submission.items()}
    assert differences(session) == []
    session.close()


def test_a_recount_finds_an_aggregate_that_is_off(feed: Feed) -> None:
    feed.take([r for n in range(3) for r in Story(n).whole()])
    assert differences(feed.session) == []
    rows(feed, "UPDATE funnel SET won = won + 1 RETURNING 1")
    rows(feed, "DELETE FROM speed RETURNING 1")
    found = differences(feed.session)
    assert [(d.table, d.kept, d.recounted) for d in found] == [
        ("funnel", (3, 3, 0, 1, 0, 0, 0, 0), (3, 3, 0, 0, 0, 0, 0, 0)), ("speed", (), (3,)),
    ]  # fmt: skip


def test_events_count_once_in_any_order_and_however_often_they_come(feed: Feed) -> None:
    records = [r for n in range(20) for r in (
        *Story(n, source=f"source{n % 2}", rep=REPS[n % 3]).whole(), Story(n).qualified(2, "hot", "lead.rescored"),
        Story(n, rep=REPS[0]).assigned(2, "lead.reassigned"), Story(n).outcome("lead.accepted"),
        Story(n).outcome("lead.lost"), Story(n).outcome("lead.won", timedelta(hours=2), 100.1 + n),
    )]  # fmt: skip
    random.Random(7).shuffle(records)
    fresh = [feed.take(batch) for batch in (records[:90], records[40:], records)]
    assert sum(fresh) == len(records)
    assert differences(feed.session) == []
    with transaction(feed.session) as cursor:
        total = funnel(cursor, Question(MARCH.since, MARCH.until, ("warmth",)))
    assert [(r.warmth, r.leads, r.accepted, r.won, r.lost) for r in total] == [("hot", 20, 20, 20, 0)]
    assert total[0].revenue == (Money(sum(10_010 + 100 * n for n in range(20)), "EUR"),)


def test_facts_are_kept_as_they_came(feed: Feed) -> None:
    arrived = Story(1).received()
    feed.take([arrived])
    kept = rows(feed, "SELECT topic, type, key, data FROM inbox")
    assert kept == [("leads.received.v1", "lead.received", Story(1).identity, (arrived.value or b"").decode())]


def test_an_end_state_of_another_kind_counts_as_such(feed: Feed) -> None:
    feed.take([Story(n).received() for n in range(5)])
    feed.take([Story(0).qualified(kind="lead.attached"), Story(1).set_aside(), Story(2).set_aside("interest.noted"),
               Story(3, is_test=True).qualified(), Story(4).given_up()])  # fmt: skip
    with transaction(feed.session) as cursor:
        row = submissions(cursor, MARCH)[0]
        assert funnel(cursor, MARCH)[0].leads == 1
    assert (row.received, row.attached, row.disqualified, row.interest, row.test, row.dead) == (5, 1, 1, 1, 1, 1)
    assert row.opened == row.on_the_way == 0


def test_a_repaired_submission_is_dead_no_more(feed: Feed) -> None:
    feed.take([Story(1).received(), Story(1).given_up()])
    feed.take([Story(1).qualified()])
    with transaction(feed.session) as cursor:
        row = submissions(cursor, MARCH)[0]
    assert (row.dead, row.opened) == (0, 1)
    assert differences(feed.session) == []


def test_the_funnel_answers_by_source_and_owner_and_keeps_to_its_filters(feed: Feed) -> None:
    for n in range(9):
        feed.take(Story(n, source=("web", "fair")[n % 3 == 0], rep=REPS[n % 2]).whole())
    feed.take([Story(3).assigned(2, "lead.parked")])
    with transaction(feed.session) as cursor:
        both = funnel(cursor, Question(MARCH.since, MARCH.until, ("source", "owner")))
        fair = funnel(cursor, Question(MARCH.since, MARCH.until, ("owner",), source="fair"))
        april = funnel(cursor, Question(date(2026, 4, 1), date(2026, 5, 1)))
    assert [(r.source, r.owner_name, r.leads) for r in both] == [
        ("web", "Ana Torres", 3), ("web", "Bo Larsen", 3), ("fair", "Ana Torres", 2), ("fair", None, 1),
    ]  # fmt: skip
    assert [(r.owner, r.leads, r.parked, r.source) for r in fair] == [("rep-ana", 2, 0, None), ("", 1, 1, None)]
    assert april == []


def test_speed_is_from_acceptance_to_first_assignment(feed: Feed) -> None:
    for n, ms in enumerate((40, 40, 40, 900, 70_000)):
        feed.take(Story(n, wait=timedelta(milliseconds=ms)).whole())
    feed.take([Story(0, wait=timedelta(hours=3)).assigned(2, "lead.reassigned")])
    with transaction(feed.session) as cursor:
        row = speed(cursor, MARCH)[0]
    assert (row.leads, row.within_1_s, row.within_5_min) == (5, 0.8, 1.0)
    assert 30 <= row.p50_ms <= 40


def test_dead_letters_are_kept_whole_until_they_are_repaired(feed: Feed) -> None:
    feed.take([Story(1).given_up(), Story(2).given_up(), Story(3).given_up("router", "schema")])
    with transaction(feed.session) as cursor:
        found = dead_records(cursor, service="qualify", reason="handler_error")
        assert [(d.offset, d.raw_value, d.event_type) for d in found] == [
            (1, "e30=", "lead.received"),
            (2, "e30=", "lead.received"),
        ]
        assert resolve(cursor, [found[0].id], START) == 1
        assert resolve(cursor, [found[0].id], START) == 0
        summed = deadletters(cursor, MARCH)
    assert [(r.service, r.reason, r.waiting, r.repaired) for r in summed] == [
        ("qualify", "handler_error", 1, 1), ("router", "schema", 1, 0),
    ]  # fmt: skip


def test_a_timeline_tells_every_event_of_a_lead_with_reasons_and_rules(feed: Feed) -> None:
    feed.take([*Story(1).whole(), Story(1).outcome("lead.won", value=5.0), *Story(2).whole()])
    with transaction(feed.session) as cursor:
        told = timeline(cursor, Story(1).lead_id)
    assert [e.type for e in told] == ["lead.received", "lead.qualified", "lead.assigned", "lead.won"]
    assert told[2].reasons[0]["text"] == "Ana Torres was next in turn in pool north"
    assert [e.rules_version for e in told] == [None, "qualify-1", "router-1", None]


@pytest.mark.parametrize("term", ["lead", "submission", " Person1+news@Example.com "])
def test_a_lead_is_found_by_its_id_its_submission_or_its_address(feed: Feed, term: str) -> None:
    feed.take([r for n in (1, 2) for r in Story(n).whole()])
    words = {"lead": Story(1).lead_id, "submission": Story(1).submission_id}
    with transaction(feed.session) as cursor:
        assert find_leads(cursor, words.get(term, term), SECRET) == [Story(1).lead_id]
        assert find_leads(cursor, "nobody@example.com", SECRET) == []


def test_pruning_keeps_the_last_hour_and_dead_letters_for_ninety_days(feed: Feed) -> None:
    old = Story(1, at=START - timedelta(days=91))
    feed.take([*old.whole(), old.given_up(), *Story(2).whole(), Story(2).given_up()])
    with transaction(feed.session) as cursor:
        assert prune(cursor, Context(START + timedelta(minutes=5))) == ()
    assert rows(feed, "SELECT min(second), sum(n) FROM throughput") == [(START, 4)]
    assert rows(feed, "SELECT event_id FROM dead_letter") == [(Story(2).submission_id,)]
    assert differences(feed.session) == []
