"""The engine, DESIGN §4 point 6: bad messages, events that wait, broken dependencies. Memory log, real PostgreSQL."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from schemas.topics import ACTIVITIES_RECEIVED, DEADLETTERS, LEADS_RECEIVED
from services.runtime import tally
from services.runtime.errors import Halted
from services.runtime.faults import Faults
from services.runtime.metrics import REGISTRY
from services.runtime.postgres import Cursor
from services.runtime.transport import Message
from services.runtime.verdict import Context, Incoming
from tests.rig import GROUP, OF_TWO_WORKERS, Rig, crash, quiet, shared_people, told_once
from tests.toy import FOREIGN, INPUTS, PLATFORM, World, activity, apply, gather, submission, toy

__all__ = ["quiet"]


@pytest.fixture
def rig(database: str) -> Rig:
    return Rig(database)


def rubbish(topic: str = LEADS_RECEIVED.name, n: int = 0) -> Message:
    return Message(topic, b"key", b"\x00\xff rubbish %d" % n, (("ce_id", b"%d" % n), ("ce_type", b"lead.received")))


def later(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def test_what_cannot_be_read_becomes_a_dead_letter_as_it_came(rig: Rig) -> None:
    rig.write(rubbish(), submission("ana"))
    rig.run()
    (letter,) = rig.letters()
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("schema", LEADS_RECEIVED.name, 0)
    assert letter["raw_value"] == "AP8gcnViYmlzaCAw"
    assert rig.people() == {"ana": (1, 1)}


def test_a_dead_letter_is_acknowledged_before_the_offset_moves(rig: Rig) -> None:
    rig.write(rubbish())
    rig.log.refuses = lambda m: m.topic == DEADLETTERS.name
    worker = rig.worker("a", idle=lambda: None)
    later(0.5, worker.stop)
    worker.run()
    assert rig.letters() == []
    assert not any(rig.log.committed(GROUP).values())
    rig.log.refuses = lambda m: False
    rig.run("b")
    assert rig.reasons() == ["schema"]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [("poison", "handler_error"), ("dead", "impossible"), ("refused", "data_refused"), ("divided", "data_refused"),
     ("large", "data_refused")],
)  # fmt: skip
def test_a_bad_event_dies_alone_and_uses_no_version(rig: Rig, wish: str, reason: str) -> None:
    good = [submission(f"person {n % 3}", n=n) for n in range(9)]
    rig.write(*good[:5], submission("person 1", wish), *good[5:])
    rig.run()
    assert rig.reasons() == [reason]
    assert rig.people() == {"person 0": (3, 3), "person 1": (3, 3), "person 2": (3, 3)}
    assert told_once(rig)
    assert rig.inbox() == {"done": 9, "dead": 1}


def test_a_business_no_is_remembered_with_its_reason(rig: Rig) -> None:
    rig.write(submission("ana", "drop"))
    rig.run()
    assert rig.ask("SELECT state, reason FROM inbox") == [("dropped", "unwanted")]
    assert rig.event_ids() == []
    assert rig.letters() == []


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "23505", "55P03", "57014", "57P01", "25P02"])
def test_a_conflict_is_retried_and_never_a_dead_letter(rig: Rig, sqlstate: str) -> None:
    failures = [sqlstate, sqlstate]

    def apply_late(cursor: Cursor, world: World) -> None:
        if failures:
            raising(cursor, failures.pop())
        apply(cursor, world)

    rig.service = toy(apply=apply_late)
    rig.write(submission("ana"), submission("ben"))
    rig.run()
    assert failures == []
    assert rig.letters() == []
    assert rig.people() == {"ana": (1, 1), "ben": (1, 1)}


def raising(cursor: Cursor, sqlstate: str) -> None:
    if sqlstate == "57P01":
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{sqlstate}'; END $$")


def test_a_real_deadlock_between_two_workers_loses_nothing(database: str) -> None:
    """A service that locks in the wrong order is slow, but right."""

    def gather_unsorted(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
        for event in events:
            gather(cursor, [event], context)
            barrier()
        return gather(cursor, events, context)

    met = threading.Barrier(2)

    def barrier() -> None:
        if not met.broken:
            try:
                met.wait(1)
            except threading.BrokenBarrierError:
                return

    rig = Rig(database, toy(gather=gather_unsorted), activity_partitions=3)
    one, other = shared_people()[:2]
    rig.write(submission(one), submission(other), activity(other), activity(one))
    for name in ("a", "b"):
        rig.log.join(GROUP, name, tuple(t.name for t in INPUTS))
    thread = threading.Thread(target=lambda: rig.run("b"))
    thread.start()
    rig.run("a")
    thread.join(15)
    met.abort()
    rig.run("a")
    assert rig.letters() == []
    assert rig.people() == {one: (1, 2), other: (1, 2)}
    assert rig.ask("SELECT sum(activities) FROM person") == [(2,)]


def test_while_the_broker_is_away_nothing_is_lost_and_it_recovers_by_itself(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}") for n in range(10)))
    faults = Faults("after_db", 1)

    def leave() -> None:
        rig.log.away = True
        later(0.4, lambda: setattr(rig.log, "away", False))

    faults.strike = leave
    worker = rig.run("a", faults)
    assert worker.trouble == ""
    assert len(rig.people()) == 10
    assert told_once(rig)
    assert rig.letters() == []


def test_while_the_database_is_away_nothing_is_lost_and_it_recovers_by_itself(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}") for n in range(10)))
    faults = Faults("in_transaction", 1)

    def leave() -> None:
        rig.database_away = True
        rig.change(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        later(0.4, lambda: setattr(rig, "database_away", False))

    faults.strike = leave
    worker = rig.run("a", faults)
    assert worker.trouble == ""
    assert len(rig.people()) == 10
    assert told_once(rig)
    assert rig.letters() == []


def test_an_event_about_an_unknown_id_waits_and_is_applied_with_the_creation(rig: Rig) -> None:
    rig.write(activity("ana"))
    rig.run()
    assert rig.inbox() == {"waiting": 1}
    assert rig.event_ids() == []
    rig.write(submission("ana"))
    rig.run()
    assert rig.people() == {"ana": (1, 2)}
    assert rig.inbox() == {"done": 2}
    assert rig.ask("SELECT count(*) FROM waiting") == [(0,)]
    assert told_once(rig)


def test_an_event_that_waits_is_found_again_by_a_decoder_that_would_file_it_under_another_day(rig: Rig) -> None:
    rig.write(activity("ana"))
    rig.run()
    rig.service = toy(for_ever=frozenset(t.name for t in INPUTS))
    rig.write(submission("ana"))
    rig.run()
    assert rig.people() == {"ana": (1, 2)}
    assert rig.ask("SELECT count(*) FROM waiting") == [(0,)]
    assert rig.inbox() == {"done": 2}


def test_an_event_that_waits_for_a_creation_later_in_the_same_batch_is_applied_with_it(rig: Rig) -> None:
    rig.write(activity("ana"), activity("ana", n=2), submission("ana"))
    rig.run()
    assert rig.people() == {"ana": (1, 3)}
    assert rig.inbox() == {"done": 3}
    assert rig.ask("SELECT count(*) FROM waiting") == [(0,)]


def test_whoever_creates_the_id_meets_the_event_that_began_to_wait_meanwhile_elsewhere(database: str) -> None:
    """The creator has looked for waiting events and found none; another worker commits one; then it locks the row."""
    rig = Rig(database, activity_partitions=3)
    rig.write(activity("somebody"))
    rig.run("a")  # the inbox has its day now
    others = [1]

    def gather_late(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
        if others and any(e.topic == LEADS_RECEIVED.name for e in events):
            others.pop()
            rig.run("b")
            assert rig.inbox() == {"waiting": 2}
        return gather(cursor, events, context)

    rig.service = toy(gather=gather_late)
    rig.write(submission(OF_TWO_WORKERS), activity(OF_TWO_WORKERS))
    rig.log.join(GROUP, "b", tuple(t.name for t in INPUTS))
    rig.run("a")
    assert not others
    assert rig.people() == {OF_TWO_WORKERS: (1, 2)}
    assert rig.inbox() == {"done": 2, "waiting": 1}
    assert told_once(rig)


def test_a_waiting_event_that_fails_when_its_id_is_known_dies_alone(rig: Rig) -> None:
    rig.write(activity("ana", "poison"), activity("ana"))
    rig.run()
    rig.write(submission("ana"))
    rig.run("a", Faults("after_db", 1, crash))
    rig.run("b")
    assert rig.people() == {"ana": (1, 2)}
    assert rig.reasons() == ["handler_error"]
    assert rig.inbox() == {"done": 2, "dead": 1}


def counted(name: str, reason: str) -> float:
    return REGISTRY.get_sample_value(name, {"stage": "toy", "reason": reason}) or 0.0


def test_an_event_whose_id_stays_unknown_is_a_dead_letter_after_24_hours(rig: Rig) -> None:
    before = counted("caudal_dlq_records_total", "unknown_id")
    rig.write(activity("nobody"))
    rig.clocks(rig.run())
    rig.now += timedelta(hours=23, minutes=59)
    rig.clocks(rig.run())
    assert rig.letters() == []
    rig.now += timedelta(minutes=2)
    rig.clocks(rig.run())
    rig.run()
    (letter,) = rig.letters()
    assert (letter["reason"], letter["topic"]) == ("unknown_id", ACTIVITIES_RECEIVED.name)
    assert counted("caudal_dlq_records_total", "unknown_id") == before + 1
    assert rig.inbox() == {"dead": 1}
    assert rig.ask("SELECT count(*) FROM waiting") == [(0,)]


def test_an_event_of_a_stranger_ends_as_dropped_without_a_letter(rig: Rig) -> None:
    rig.service = toy(of_strangers=frozenset({ACTIVITIES_RECEIVED.name}))
    before = counted("caudal_dropped_records_total", "nobody")
    rig.write(activity("nobody"), activity("ana"))
    rig.clocks(rig.run())
    rig.now += timedelta(hours=25)
    rig.write(submission("ana"))
    rig.clocks(rig.run())
    rig.clocks(rig.run())
    assert rig.letters() == []
    assert rig.inbox() == {"done": 2, "dropped": 1}
    assert counted("caudal_dropped_records_total", "nobody") == before + 1
    assert rig.ask("SELECT count(*) FROM waiting") == [(0,)]


def test_an_event_that_waits_on_a_topic_that_is_read_no_more_is_no_harm_to_others_and_ends_too(rig: Rig) -> None:
    rig.write(activity("ana"))
    rig.run()
    rig.change("UPDATE waiting SET topic = 'crm.gone.outcomes.v1'")
    rig.write(submission("ana"))
    rig.run()
    assert rig.people() == {"ana": (1, 1)}
    assert rig.letters() == []
    rig.now += timedelta(hours=25)
    rig.clocks(rig.run())
    rig.run()
    assert rig.reasons() == ["unknown_id"]


def test_an_event_whose_patience_is_just_ending_is_not_applied_as_well(rig: Rig) -> None:
    """The clock has claimed it, uncommitted, when its id becomes known: the creator waits for the clock."""
    rig.write(activity("ana"))
    rig.run()
    rig.write(submission("ana"))
    clock = rig.session()
    with clock.cursor() as cursor:
        cursor.execute("SELECT 1 FROM waiting FOR UPDATE")
        thread = threading.Thread(target=lambda: rig.run("b"))
        thread.start()
        thread.join(0.5)
        assert rig.people() == {}
        cursor.execute("DELETE FROM waiting")
        clock.commit()
    thread.join(10)
    assert rig.people() == {"ana": (1, 1)}
    assert rig.ask("SELECT activities FROM person") == [(0,)]


@pytest.mark.parametrize("year", [1, 1950, 9999])
def test_an_event_that_claims_an_absurd_day_is_taken_and_known_again(rig: Rig, year: int) -> None:
    claimed = datetime(year, 12, 31, 12, tzinfo=UTC)
    rig.write(submission("ana"), activity("ana", recorded_at=claimed))
    rig.run()
    rig.write(submission("ana", n=1), activity("ana", recorded_at=claimed))
    rig.run("b")
    assert rig.ask("SELECT submissions, activities FROM person") == [(2, 1)]


def test_an_id_too_large_for_an_index_dies_alone(rig: Rig) -> None:
    """PostgreSQL refuses it with SQLSTATE 54000, an operational error to the driver though the data are at fault."""
    name = "".join(sha256(b"%d" % n).hexdigest() for n in range(400))
    rig.write(submission("ana"), submission(name))
    rig.run()
    assert rig.reasons() == ["data_refused"]
    assert rig.people() == {"ana": (1, 1)}


def test_many_dead_letters_in_a_row_from_our_own_topics_stop_the_service(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(database, partitions=1)
    monkeypatch.setattr(tally, "DEAD_IN_A_ROW", 10)
    rig.write(*(rubbish(n=n) for n in range(9)), submission("ana"), *(rubbish(n=n) for n in range(9, 17)))
    rig.run()
    assert len(rig.letters()) == 17
    rig.write(*(rubbish(n=n) for n in range(20, 40)))
    with pytest.raises(Halted, match="dead letters in a row"):
        rig.run("b")


def test_a_service_stopped_by_dead_letters_stays_stopped_until_an_operator_confirms(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(database, partitions=1)
    monkeypatch.setattr(tally, "DEAD_IN_A_ROW", 10)
    rig.write(*(rubbish(n=n) for n in range(10)))
    for name in ("a", "b", "c"):  # a supervisor starts it anew
        with pytest.raises(Halted, match=r"CAUDAL_CONFIRM_GAPS=leads\.received\.v1/0@9 to go on"):
            rig.run(name)
        rig.bury(name)
        rig.write(submission("ana"))
    assert len(rig.letters()) == 10
    assert rig.people() == {}
    rig.run("d", confirmed_gaps=frozenset({f"{LEADS_RECEIVED.name}/0@9"}))
    rig.run("e")
    assert rig.people() == {"ana": (1, 1)}


def test_a_worker_that_takes_over_from_one_that_halted_its_service_halts_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "DEAD_IN_A_ROW", 10)
    met: list[bool] = []

    def idle() -> None:
        """Another worker joins, meets the rubbish on its partition, and is gone; then more comes there."""
        if met:
            return
        met.append(True)
        rig.write(*(rubbish(n=n) for n in range(60)))
        with pytest.raises(Halted):
            rig.worker("b").run()
        rig.log.expel(GROUP, "b")
        rig.write(rubbish(n=60))

    with pytest.raises(Halted, match="dead letters in a row"):
        rig.run("a", idle=idle)
    assert len(rig.letters()) == 60


def test_rubbish_on_a_topic_that_others_write_never_stops_the_service(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "DEAD_IN_A_ROW", 10)
    rig.write(*(rubbish(FOREIGN.name, n) for n in range(50)), submission("ana"))
    rig.run()
    assert len(rig.letters()) == 50
    assert rig.people() == {"ana": (1, 1)}


def test_rubbish_of_every_kind_on_a_topic_that_others_write_ends_as_a_dead_letter(rig: Rig) -> None:
    name = FOREIGN.name
    cloud = ("content-type", b"application/cloudevents+json")
    rig.write(
        Message(name, None, None, ()), Message(name, b"k", b"", ()), Message(name, b"k", b"\xff\xfe", (cloud,)),
        Message(name, b"\x00\xff", b"[]", (("ce_id", b"\xff"), ("ce_type", b"\xff\xff"))),
        Message(name, b"k", b"null", (cloud,)), Message(name, b"k", b"[" * 50_000, (cloud,)),
        Message(name, b"k", b'{"type": "lead.won"}', (("caudal_repair", "²".encode()),)),
        Message(name, b"k", b'{"type": 3}', (("traceparent", b"a\tb\nc\x00"), ("ce_type", b"tombstone"))),
        Message(name, b"k" * 1_000_000, b"[]", (("ce_id", b"a\x00b"), ("ce_type", b"lead.won"))),
    )  # fmt: skip
    rig.run()
    assert len(rig.letters()) == 9
    assert rig.inbox() == {"dead": 9}


def test_an_event_that_others_call_a_tombstone_is_handled_like_any_other(rig: Rig) -> None:
    rig.write(Message(PLATFORM.name, b"k", b"{}", (("ce_type", b"tombstone"),)))
    rig.run()
    assert rig.inbox() == {"dropped": 1}


def test_a_trace_that_others_made_up_cannot_break_what_waits_to_be_published(rig: Rig) -> None:
    message = submission("ana")
    rig.write(replace(message, headers=[*message.headers, ("traceparent", b"a\tb\nc\x00")]))
    rig.run("a", Faults("after_db", 1, crash))
    rig.run("b")
    assert rig.told() == {"ana": (1, 1)}
    assert rig.letters() == []


def test_a_large_record_of_our_own_is_kept_whole_in_its_dead_letter(rig: Rig) -> None:
    rig.write(Message(LEADS_RECEIVED.name, b"k", b"x" * 1_000_000, ()))
    rig.run()
    (letter,) = rig.letters()
    assert not letter["truncated"]
    assert len(letter["raw_value"]) > 1_300_000


def test_a_batch_that_takes_longer_than_it_may_comes_again_smaller(rig: Rig) -> None:
    sizes = []

    def slow(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
        sizes.append(len(events))
        cursor.execute("SET LOCAL statement_timeout = '150ms'")
        cursor.execute("SELECT pg_sleep(0.03 * %s)", (len(events),))
        return gather(cursor, events, context)

    _all_are_taken(rig, slow, 30)
    assert sizes[0] > 5
    assert sizes.count(sizes[0]) == 1


def test_a_batch_in_which_the_session_idles_too_long_comes_again_smaller(rig: Rig) -> None:
    sizes = []

    def slow(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
        sizes.append(len(events))
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
        time.sleep(0.03 * len(events))
        return gather(cursor, events, context)

    _all_are_taken(rig, slow, 12)
    assert sizes.count(sizes[0]) == 1


def _all_are_taken(rig: Rig, slow: Callable[[Cursor, Sequence[Incoming], Context], World], people: int) -> None:
    rig.service = toy(gather=slow)
    rig.partitions = 1
    rig.write(*(submission(f"person {n}") for n in range(people)))
    rig.run()
    assert len(rig.people()) == people
    assert rig.letters() == []


@pytest.mark.parametrize(
    "said", ["2026-01-01T00:00:00+20:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_times_that_the_database_cannot_hold_stop_no_service_that_keeps_its_events(rig: Rig, said: str) -> None:
    rig.service = toy(keep_data=True)
    message = submission("ana")
    value = json.dumps({**json.loads(message.value or b""), "occurred_at": said}).encode()
    rig.write(replace(message, value=value), submission("eve"))
    rig.run()
    assert rig.people().keys() >= {"eve"}
    assert sum(rig.inbox().values()) == 2


def test_data_that_the_database_refuses_are_a_letter_also_where_events_are_kept(rig: Rig) -> None:
    rig.service = toy(keep_data=True)
    rig.write(Message(PLATFORM.name, b"k", b"{}", (("ce_type", b"a\x00b"),)), submission("eve"))
    rig.run()
    assert rig.reasons() == ["data_refused"]
    assert rig.inbox() == {"dead": 1, "done": 1}
