"""Caps on a real PostgreSQL: never exceeded, whoever races; a submission that is sent again keeps its place."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from services.cli.capsleft import caps_left
from services.intake.caps.counter import PostgresCounter
from services.intake.caps.store import SQL, take_places
from services.intake.caps.windows import Window, window
from services.intake.sources.source import Cap, Source
from services.runtime.errors import Unavailable
from services.runtime.postgres import Session, connect, select, transaction

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def counters(database: str) -> Iterator[list[PostgresCounter]]:
    """Two, as of two processes."""
    with closing(PostgresCounter(database, "1")) as one, closing(PostgresCounter(database, "2")) as two:
        yield [one, two]


def source(*caps: Cap, name: str = "zap") -> Source:
    return Source(name=name, caps=caps)


def asked(counter: PostgresCounter, of: Source, ids: Sequence[str], now: datetime = NOW) -> Mapping[str, Window]:
    async def ask() -> Mapping[str, Window]:
        return await counter(of, ids, now)

    return asyncio.run(ask())


def waiting(session: Session) -> bool:
    """Whether any session waits for a lock; in a transaction of its own, which alone sees the present."""
    with transaction(session) as cursor:
        return bool(select(cursor, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


def test_of_a_hundred_at_once_as_many_find_room_as_there_is(counters: list[PostgresCounter]) -> None:
    """Both processes make the tables, open the window and take the last place at the same time."""
    of = source(Cap(most=10, per="day"), Cap(most=500, per="total"))

    async def race() -> list[Mapping[str, Window]]:
        return await asyncio.gather(*(counters[n % 2](of, [f"s{n}"], NOW) for n in range(100)))

    answers = asyncio.run(race())
    assert Counter(map(bool, answers)) == {False: 10, True: 90}
    let_in = [f"s{n}" for n, full in enumerate(answers) if not full]
    assert asked(counters[0], of, let_in) == {}
    assert len(asked(counters[1], of, [*let_in, "new"])) == 1


def test_the_last_place_is_taken_by_one_only(database: str, counters: list[PostgresCounter]) -> None:
    """The second asks while the first has looked and not yet counted: it must wait."""
    of = source(Cap(most=1, per="day"))
    assert asked(counters[0], of, []) == {}
    with closing(connect(database, "intake", "first")) as first, ThreadPoolExecutor(1) as pool:
        with transaction(first) as cursor:
            cursor.execute(SQL["lock_windows"], {"source": "zap", "keys": [window(of.caps[0], NOW).key]})
            second = pool.submit(asked, counters[1], of, ["b"])
            with closing(connect(database, "intake", "looks")) as session:
                while not waiting(session):
                    assert not second.done(), "it did not wait"
            assert take_places(cursor, of, ["a"], NOW) == {}
        assert list(second.result()) == ["b"]


def test_a_submission_that_is_sent_again_takes_no_other_place_also_in_the_next_window(
    counters: list[PostgresCounter],
) -> None:
    of, later = source(Cap(most=2, per="hour")), NOW + timedelta(hours=1)
    assert asked(counters[0], of, ["a", "b"]) == {}
    assert asked(counters[1], of, ["a", "b", "a"]) == {}
    assert list(asked(counters[0], of, ["a", "c"])) == ["c"]
    assert asked(counters[1], of, ["a", "c", "d"], later) == {}
    assert list(asked(counters[1], of, ["e"], later)) == ["e"]


def test_each_source_has_its_own_counts(counters: list[PostgresCounter]) -> None:
    for name in ("zap", "form"):
        assert list(asked(counters[0], source(Cap(most=1, per="total"), name=name), ["a", "b"])) == ["b"]


def test_submissions_are_forgotten_after_thirty_days(counters: list[PostgresCounter], database: str) -> None:
    of = source(Cap(most=9, per="day"))
    for days in (0, 20, 40):
        assert asked(counters[0], of, [f"d{days}"], NOW + timedelta(days=days)) == {}
    with closing(psycopg2.connect(database)) as session, session.cursor() as cursor:
        cursor.execute("SELECT submission_id FROM intake.cap_submission ORDER BY 1")
        assert cursor.fetchall() == [("d20",), ("d40",)]


def test_a_lost_session_is_told_as_unavailable_and_the_next_one_counts_on(
    counters: list[PostgresCounter], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.intake.caps.counter._AGAIN_AFTER_S", 0.0)
    of = source(Cap(most=2, per="total"))
    assert asked(counters[0], of, ["a"]) == {}
    with closing(psycopg2.connect(database)) as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'caudal-intake-http-%'"
        )
        session.commit()
    with pytest.raises(Unavailable):
        asked(counters[0], of, ["b"])
    assert list(asked(counters[0], of, ["b", "c"])) == ["c"]


def test_without_a_database_one_asks_and_the_others_are_refused_at_once() -> None:
    with closing(PostgresCounter("postgresql://127.0.0.1:9/none", "1")) as counter:

        async def race() -> list[object]:
            asks = (counter(source(Cap(most=1, per="day")), [f"s{n}"], NOW) for n in range(300))
            return list(await asyncio.gather(*asks, return_exceptions=True))

        assert {type(answer) for answer in asyncio.run(race())} == {Unavailable}


def test_the_command_tells_how_full_each_cap_is(database: str, counters: list[PostgresCounter]) -> None:
    of = source(Cap(most=2, per="day"), Cap(most=1500, per="total"))
    assert list(caps_left(database, of)) == ["nothing counted yet"]
    assert asked(counters[0], source(Cap(most=1, per="hour"), name="other"), ["x"]) == {}
    today = window(of.caps[0], now := datetime.now(UTC))
    assert len(asked(counters[0], of, ["a", "b", "c"], now)) == 1
    assert today.ends is not None
    day = f"2 of 2 leads in this day, which ends at {today.ends.isoformat()}; full"
    assert list(caps_left(database, of)) == [day, "2 of 1,500 leads in all"]
    (why,) = caps_left("postgresql://127.0.0.1:1/none", of)
    assert why.startswith("not known, PostgreSQL: ")
