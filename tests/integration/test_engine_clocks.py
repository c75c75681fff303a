"""The engine, DESIGN §4 points 7 and 8: clocks, calls, the outbox, and gaps in the log. Memory log, real PostgreSQL."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from schemas.topics import LEADS_RECEIVED
from services.runtime import clocks as clocks_module
from services.runtime import metrics
from services.runtime import worker as worker_module
from services.runtime.errors import LogGap
from services.runtime.faults import Faults
from services.runtime.health import healthy, stalled
from services.runtime.main import pulses_of
from services.runtime.postgres import Cursor, select
from services.runtime.service import Call, Clock, DueRows
from services.runtime.verdict import Context, Outgoing
from tests.rig import GROUP, Crash, Rig, crash, quiet, told_once
from tests.toy import INPUTS, START, activity, claim, due_reminders, put_off, record, remind, submission, toy

__all__ = ["quiet"]
NAMES = tuple(t.name for t in INPUTS)
REMIND = DueRows("remind", timedelta(0), due_reminders, remind, put_off)


@pytest.fixture
def rig(database: str) -> Rig:
    return Rig(database)


def applied_until(rig: Rig) -> object:
    (row,) = rig.ask("SELECT min(applied_until), count(*) = count(applied_until) FROM fence")
    return row[0] if row[1] else None


def reminders(rig: Rig) -> int:
    return int(rig.ask("SELECT count(*) FROM reminder")[0][0])


def test_a_due_row_fires_once_its_service_has_applied_its_inputs_up_to_then(rig: Rig) -> None:
    rig.write(submission("ana", "remind"))
    rig.clocks(rig.run())
    assert reminders(rig) == 1
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    assert reminders(rig) == 0
    rig.run()
    assert rig.told() == {"ana": (1, 2)}
    assert told_once(rig)


def test_applied_until_is_the_moment_of_asking_and_no_time_of_a_record(rig: Rig) -> None:
    rig.write(submission("ana"))
    rig.now = START + timedelta(minutes=30)
    rig.run()
    assert applied_until(rig) == START + timedelta(minutes=30)


def test_nothing_fires_while_a_partition_was_never_caught_up_with(rig: Rig) -> None:
    rig.write(submission("ana", "remind"))
    worker = rig.run()
    rig.now = START + timedelta(hours=2)
    rig.change("UPDATE fence SET applied_until = %s", rig.now)
    rig.change("UPDATE fence SET applied_until = NULL WHERE topic = 'activities.received.v1' AND partition = 1")
    rig.clocks(worker)
    assert reminders(rig) == 1
    rig.change("UPDATE fence SET applied_until = %s", rig.now)
    rig.clocks(worker)
    assert reminders(rig) == 0


def test_a_partition_that_is_behind_holds_back_what_became_due_since(rig: Rig) -> None:
    """The acceptance may lie there unread."""
    rig.write(submission("ana", "remind"))
    rig.run()
    rig.log.join(GROUP, "z", NAMES)
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    assert reminders(rig) == 1
    assert applied_until(rig) == START
    rig.log.expel(GROUP, "z")
    rig.clocks(rig.run())
    assert reminders(rig) == 0


def test_a_partition_read_but_not_to_the_end_is_not_caught_up_with(rig: Rig) -> None:
    rig.write(*(submission("ana", n=n) for n in range(10)))
    worker = rig.run("a", Faults("after_commit", 2, crash), batch_size=3)
    assert worker.behind
    assert applied_until(rig) is None


def test_topics_that_are_read_no_more_do_not_count(rig: Rig) -> None:
    rig.write(submission("ana", "remind"))
    rig.run()
    rig.change("INSERT INTO fence (topic, partition) VALUES ('crm.gone.outcomes.v1', 0)")
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    assert reminders(rig) == 0


def test_a_partition_whose_records_retention_has_taken_counts_as_caught_up_with(rig: Rig) -> None:
    """A new service on an old log: nothing to read there, yet the end is not 0."""
    rig.write(*(submission("ana", n=n) for n in range(5)))
    place = next((r.topic, r.partition) for r in rig.log.records(LEADS_RECEIVED.name))
    rig.log.trim(place, 5)
    rig.run()
    assert applied_until(rig) == START


def test_new_partitions_of_a_topic_are_read_and_counted_without_a_restart(rig: Rig) -> None:
    rig.write(submission("ana"))
    grown: list[int] = []

    def grow() -> None:
        if not grown:
            grown.append(1)
            rig.log.partitions = 5
            rig.log.create([LEADS_RECEIVED])
            rig.write(*(submission(f"person {n}") for n in range(20)))

    worker = rig.run("a", arrived=grow)
    assert len(rig.people()) == 21
    assert worker.partition_counts[LEADS_RECEIVED.name] == 5


@pytest.mark.parametrize("point", ["outbox.before_produce", "outbox.after_produce"])
def test_an_event_of_a_clock_is_told_once_in_effect_though_its_relay_dies(rig: Rig, point: str) -> None:
    rig.write(submission("ana", "remind"), submission("ben", "remind"))
    rig.run()
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    rig.run("a", Faults(point, 1, crash))
    rig.run("b")
    assert rig.ask("SELECT count(*) FROM outbox") == [(0,)]
    assert rig.told() == {"ana": (1, 2), "ben": (1, 2)}
    assert len(set(rig.event_ids())) == 4
    assert told_once(rig)


def test_only_the_owner_of_a_slot_relays_its_events_and_not_once_it_is_fenced(rig: Rig) -> None:
    rig.write(submission("ana", "remind"), submission("ben", "remind"), submission("carl", "remind"))
    rig.run()
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())

    def take_over() -> None:
        rig.log.expel(GROUP, "a")
        rig.run("b")

    rig.run("a", Faults("outbox.before_produce", 1, take_over))
    assert len(rig.event_ids()) == len(set(rig.event_ids())) == 6
    assert told_once(rig)


def test_half_the_partitions_relay_half_the_slots(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}", "remind") for n in range(10)))
    rig.run()
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    rig.log.join(GROUP, "z", NAMES)
    rig.run()
    left = rig.ask("SELECT DISTINCT slot %% 2 FROM outbox")
    assert left == [(1,)]
    rig.log.expel(GROUP, "z")
    rig.run()
    assert told_once(rig)


def test_a_clock_that_fails_does_not_silence_the_others(rig: Rig) -> None:
    def broken(*_: object) -> list[object]:
        raise IndexError("a defect")

    rig.service = toy(clocks=(Clock("broken", timedelta(0), broken), REMIND))  # type: ignore[arg-type]  # it never answers
    rig.write(submission("ana", "remind"))
    rig.run()
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    assert reminders(rig) == 0


@pytest.mark.parametrize("note", ["poison", "divided", "slow"])
def test_a_due_row_that_fails_alone_is_put_off_and_the_others_fire(rig: Rig, note: str) -> None:
    """`divided` fails in the database, which ends the transaction where no savepoint keeps it."""
    rig.write(*(submission(who, "remind") for who in ("ana", "ben", "carl")))
    rig.run()
    rig.change("UPDATE reminder SET note = %s WHERE identity = 'ben'", note)
    rig.now = START + timedelta(hours=2)
    counted = put_off_rows("remind")
    rig.clocks(rig.run())
    later = rig.now + clocks_module.PUT_OFF
    assert rig.ask("SELECT identity, due_at FROM reminder") == [("ben", later)]
    assert put_off_rows("remind") - counted == 1
    rig.change("UPDATE reminder SET note = 'mended'")
    rig.now = later
    rig.clocks(rig.run())
    rig.run()
    assert rig.told() == {"ana": (1, 2), "ben": (1, 2), "carl": (1, 2)}
    assert told_once(rig)


def put_off_rows(clock: str) -> float:
    return float(metrics.REGISTRY.get_sample_value("caudal_clock_put_off_total", {"stage": "toy", "clock": clock}) or 0)


def test_a_call_that_fails_does_not_keep_the_others_from_being_made(rig: Rig) -> None:
    def call(errand: str, _: Context) -> str:
        return f"{1 / (errand != 'one')}"

    rig.service = toy(clocks=(Call("errand", timedelta(0), claim, call, record),))
    rig.change("INSERT INTO errand (id) VALUES ('one'), ('two')")
    rig.clocks(rig.run())
    assert rig.ask("SELECT id, answer FROM errand ORDER BY 1") == [("one", None), ("two", "1.0")]


GONE = "SELECT pg_terminate_backend(pg_backend_pid())"
READ_ONLY = "SET TRANSACTION READ ONLY"  # the answer of a server that has just become a standby
LOST = [(GONE, 1, "done one"), (READ_ONLY, 1, "done one"), (GONE, 2, "done one"), (GONE, 3, None)]


@pytest.mark.parametrize(("end", "failures", "answer"), LOST)
def test_an_answer_is_recorded_in_a_fresh_session_when_the_first_is_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, end: str, failures: int, answer: str | None
) -> None:
    monkeypatch.setattr(clocks_module, "RECORD_PAUSES_S", (0.0, 0.0))
    calls, left = [], [failures]

    def call(errand: str, _: Context) -> str:
        calls.append(errand)
        return f"done {errand}"

    def lose_the_session(cursor: Cursor, errand: str, answer: str, context: Context) -> Sequence[Outgoing]:
        left[0] -= 1
        if left[0] >= 0:
            cursor.execute(end)
        return record(cursor, errand, answer, context)

    rig.service = toy(clocks=(Call("errand", timedelta(0), claim, call, lose_the_session),))
    rig.change("INSERT INTO errand (id) VALUES ('one')")
    worker = rig.run()
    before = len(rig.sessions)
    rig.clocks(worker)
    assert rig.ask("SELECT answer FROM errand") == [(answer,)]
    assert calls == ["one"]
    assert len(rig.sessions) - before == failures + 1


SLOW = "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)"


def test_an_answer_that_a_slow_database_does_not_record_is_no_fault_of_its_claim(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks_module, "RECORD_PAUSES_S", (0.0, 0.0))
    late: list[str] = []

    def slow(cursor: Cursor, errand: str, answer: str, context: Context) -> Sequence[Outgoing]:
        cursor.execute(SLOW)
        return record(cursor, errand, answer, context)

    def note(_: Cursor, errand: str, __: Context) -> Sequence[Outgoing]:
        late.append(errand)
        return ()

    call = Call("errand", timedelta(0), claim, lambda errand, _: f"done {errand}", slow, put_off=note)
    rig.service = toy(clocks=(call,))
    rig.change("INSERT INTO errand (id) VALUES ('one')")
    counted = put_off_rows("errand")
    rig.clocks(rig.run())
    assert rig.ask("SELECT answer FROM errand") == [(None,)]
    assert late == []
    assert put_off_rows("errand") == counted
    rig.now += timedelta(minutes=2)
    rig.service = toy()
    rig.clocks(rig.run())
    assert rig.ask("SELECT answer FROM errand") == [("done one",)]


def test_rows_that_are_taken_one_by_one_hold_their_locks_for_some_seconds_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks_module, "ALONE_WITHIN_S", 0.0)

    def look(cursor: Cursor, _: Context) -> Sequence[str]:
        return [row[0] for row in select(cursor, "SELECT id FROM errand WHERE answer IS NULL ORDER BY id FOR UPDATE")]

    def take(cursor: Cursor, rows: Sequence[str], _: Context) -> Sequence[str]:
        if len(rows) > 1:
            cursor.execute(SLOW)
        return rows

    call = Call("errand", timedelta(0), look, lambda errand, _: f"done {errand}", record, take)
    rig.service = toy(clocks=(call,))
    rig.change("INSERT INTO errand (id) VALUES ('one'), ('three'), ('two')")
    worker = rig.run()
    for answered in (1, 2, 3):
        rig.clocks(worker)
        assert rig.ask("SELECT count(answer) FROM errand") == [(answered,)]


def waiting_too_long(rig: Rig, people: int) -> None:
    rig.write(*(activity(f"person {n}") for n in range(people)))
    rig.run()
    rig.now = START + timedelta(hours=25)
    rig.run()


def test_an_event_that_cannot_be_read_again_keeps_no_other_from_ending_its_wait_and_no_clock_from_running(
    rig: Rig,
) -> None:
    rig.write(submission("zoe", "remind"))
    waiting_too_long(rig, 3)
    rig.change("UPDATE waiting SET headers = 'damaged' WHERE key = 'person 1'")
    rig.clocks(rig.run(), turns=2)
    rig.run()
    assert rig.reasons() == ["unknown_id"] * 2
    assert rig.ask("SELECT key, due_at FROM waiting") == [("person 1", rig.now + clocks_module.PUT_OFF)]
    assert reminders(rig) == 0


def test_a_full_claim_of_events_that_waited_too_long_is_followed_by_the_next_at_once(rig: Rig) -> None:
    waiting_too_long(rig, 450)
    rig.clocks(rig.run(), turns=3)
    rig.run()
    assert rig.reasons() == ["unknown_id"] * 450


def test_a_clock_that_turns_no_more_makes_the_service_unhealthy(rig: Rig) -> None:
    hold, held = threading.Event(), threading.Event()

    def stuck(*_: object) -> Sequence[Outgoing]:
        held.set()
        hold.wait(20)
        return ()

    rig.service = toy(clocks=(Clock("stuck", timedelta(0), stuck),))
    worker = rig.run()
    clocks = rig.turning(worker)
    pulses = pulses_of(worker, clocks)[1:]
    assert healthy(pulses, time.monotonic())[0]
    thread = threading.Thread(target=clocks.run)
    thread.start()
    try:
        assert held.wait(10)
        now = time.monotonic()
        assert healthy(pulses, now)[0]
        assert not healthy(pulses, now + 31)[0]
        assert stalled(pulses, now + 59) == []
        assert stalled(pulses, now + 61) == ["clocks"]
    finally:
        clocks.stop()
        hold.set()
        thread.join(10)


def test_a_clock_that_calls_somebody_may_wait_for_a_slow_answer(rig: Rig) -> None:
    worker = rig.run()
    clocks = rig.turning(worker)
    clocks.alive_at = 1.0
    pulses = pulses_of(worker, clocks)[1:]
    assert stalled(pulses, 8 * 60.0) == []
    assert stalled(pulses, 11 * 60.0) == ["clocks"]


@pytest.mark.parametrize("point", ["after_claim", "after_call"])
def test_a_call_whose_worker_died_is_made_again_when_its_lease_is_over(rig: Rig, point: str) -> None:
    rig.change("INSERT INTO errand (id) VALUES ('one')")
    worker = rig.run()
    with pytest.raises(Crash):
        rig.clocks(worker, Faults(point, 1, crash))
    rig.clocks(worker)
    assert rig.ask("SELECT answer FROM errand") == [(None,)]
    rig.now += timedelta(minutes=2)
    rig.clocks(worker)
    assert rig.ask("SELECT answer FROM errand") == [("done one",)]


def test_a_log_that_begins_after_the_next_offset_stops_the_worker_with_the_range_named(database: str) -> None:
    rig = Rig(database, partitions=1)
    rig.write(*(submission("ana", n=n) for n in range(4)))
    rig.run()
    rig.write(*(submission("ana", n=n) for n in range(4, 10)))
    rig.log.trim((LEADS_RECEIVED.name, 0), 7)
    with pytest.raises(LogGap, match=r"offset 4 comes next, but the log holds 7 to 10; .*leads\.received\.v1/0@4"):
        rig.run()
    rig.bury("a")
    rig.run("b", confirmed_gaps=frozenset({f"{LEADS_RECEIVED.name}/0@4"}))
    assert rig.people() == {"ana": (7, 7)}


def test_a_log_that_ends_before_the_next_offset_stops_the_worker_and_once_confirmed_counts_anew(database: str) -> None:
    rig = Rig(database, partitions=1)
    rig.write(*(submission("ana", n=n) for n in range(4)))
    rig.run()
    rig.log.recreate(LEADS_RECEIVED)
    rig.write(submission("ana", n=10))
    with pytest.raises(LogGap, match="offset 4 comes next, but the log holds 0 to 1"):
        rig.run()
    rig.bury("a")
    rig.run("b", confirmed_gaps=frozenset({f"{LEADS_RECEIVED.name}/0@4"}))
    assert rig.people() == {"ana": (5, 5)}
    rig.run("c")
    assert rig.ask("SELECT next_offset FROM fence WHERE topic = %s", LEADS_RECEIVED.name) == [(1,)]


def test_relaying_for_a_partition_that_was_never_read_makes_no_gap(database: str) -> None:
    """Its log begins at 5 by retention; what a clock had to say must not pin it to offset 0."""
    rig = Rig(database, partitions=1)
    rig.write(*(submission("ana", n=n) for n in range(5)))
    rig.log.trim((LEADS_RECEIVED.name, 0), 5)
    rig.change("INSERT INTO person (identity) VALUES ('ben'); INSERT INTO reminder VALUES ('ben', %s)", START)
    rig.clocks(rig.run())
    rig.run()
    assert reminders(rig) == 0
    rig.run("b")
    assert rig.ask("SELECT next_offset FROM fence WHERE topic = %s", LEADS_RECEIVED.name) == [(None,)]


def test_a_replay_does_not_fire_what_was_fired(rig: Rig) -> None:
    rig.write(submission("ana", "remind"), activity("ana"))
    rig.run()
    rig.now = START + timedelta(hours=2)
    rig.clocks(rig.run())
    rig.run()
    before = rig.event_ids()
    rig.log.committed(GROUP).clear()
    rig.clocks(rig.run("b"))
    rig.run("b")
    assert rig.event_ids() == before


@pytest.mark.parametrize(("left", "named"), [(1, "holds 7 to 8"), (0, "holds 8 to 8")])
def test_a_log_that_loses_what_comes_next_under_a_running_worker_stops_it(
    database: str, monkeypatch: pytest.MonkeyPatch, left: int, named: str
) -> None:
    """The client would go on by itself where the log begins, though nothing is left on it."""

    def harm(rig: Rig) -> None:
        rig.write(*(submission("ana", n=n) for n in range(4, 8)))
        rig.log.trim((LEADS_RECEIVED.name, 0), 8 - left)

    _meets_a_gap(database, monkeypatch, harm, named)


@pytest.mark.parametrize(("written", "named"), [(1, "holds 0 to 1"), (0, "holds 0 to 0")])
def test_a_log_that_is_made_anew_under_a_running_worker_stops_it(
    database: str, monkeypatch: pytest.MonkeyPatch, written: int, named: str
) -> None:
    def harm(rig: Rig) -> None:
        rig.log.recreate(LEADS_RECEIVED)
        rig.write(*(submission("ana", n=9) for _ in range(written)))

    _meets_a_gap(database, monkeypatch, harm, named)


def _meets_a_gap(database: str, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Rig], None], named: str) -> None:
    """A worker has applied four records when the log is harmed; a gap that was confirmed before is one all the same."""
    monkeypatch.setattr(worker_module, "LOOK_EVERY_S", 0)
    rig = Rig(database, partitions=1)
    rig.write(*(submission("ana", n=n) for n in range(4)))
    harmed: list[bool] = []

    def idle() -> None:
        if harmed:
            return
        harmed.append(True)
        harm(rig)

    confirmed = frozenset({f"{LEADS_RECEIVED.name}/0@4"})
    with pytest.raises(LogGap, match=f"offset 4 comes next, but the log {named}"):
        rig.run(idle=idle, confirmed_gaps=confirmed)
    assert rig.people() == {"ana": (4, 4)}
