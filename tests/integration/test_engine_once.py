"""The engine, DESIGN §4 points 1 to 3: batches, effect-once, gather and lock. Memory log, real PostgreSQL."""

import threading
import time
from dataclasses import replace

import pytest

from schemas.topics import PEOPLE_CHANGED
from services.runtime.faults import Faults
from services.runtime.service import Service
from services.runtime.transport import Message, Record
from services.runtime.verdict import Context, Incoming, Verdict
from tests.rig import GROUP, OF_TWO_WORKERS, Crash, Rig, crash, quiet, told_once
from tests.toy import INPUTS, World, activity, decide, submission

POINTS = ["in_transaction", "after_db", "before_produce", "after_produce", "after_commit"]


__all__ = ["quiet"]


@pytest.fixture
def rig(database: str) -> Rig:
    return Rig(database)


def some(n: int, people: int = 5) -> list[Message]:
    return [submission(f"person {i % people}", n=i) for i in range(n)]


def test_a_batch_is_what_is_there_up_to_the_limit_in_one_transaction(rig: Rig) -> None:
    rig.write(*some(30))
    rig.run(batch_size=10)
    assert rig.ask("SELECT count(DISTINCT xmin::text), count(*) FROM inbox") == [(3, 30)]
    assert told_once(rig)


def test_a_repeat_is_dropped_and_emits_nothing(rig: Rig) -> None:
    rig.write(submission("ana"), submission("ana"))
    rig.run()
    rig.write(submission("ana"))
    rig.run()
    assert rig.people() == {"ana": (1, 1)}
    assert len(rig.event_ids()) == 1
    assert rig.inbox() == {"done": 1}


def test_the_same_id_with_another_body_is_one_dead_letter_for_each_body(rig: Rig) -> None:
    rig.write(submission("ana"), submission("ana", body="other"), submission("ana", body="other"))
    rig.run()
    rig.write(submission("ana", body="other"), submission("ana", body="third"), submission("ana"))
    rig.run()
    assert rig.reasons() == ["id_reused", "id_reused"]
    assert rig.people() == {"ana": (1, 1)}
    assert rig.inbox() == {"done": 1, "dead": 2}


def test_the_inbox_keeps_ids_by_the_day_that_the_event_was_recorded(rig: Rig) -> None:
    rig.write(submission("ana"), activity("ana"))
    rig.run()
    days = rig.ask("SELECT tableoid::regclass::text, day::text FROM inbox ORDER BY 1")
    assert days == [("inbox_20260302", "2026-03-02"), ("inbox_for_ever", "1970-01-01")]


def test_a_replay_from_the_first_offset_emits_nothing(rig: Rig) -> None:
    rig.write(*some(20), submission("ben", "dead"), submission("ben", "drop"), activity("nobody"))
    rig.run()
    before = rig.event_ids(), rig.reasons(), rig.people(), rig.inbox()
    rig.log.committed(GROUP).clear()
    worker = rig.run("b")
    assert (rig.event_ids(), rig.reasons(), rig.people(), rig.inbox()) == before
    assert worker.moved_at > 0


@pytest.mark.parametrize("passage", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_after_a_crash_anywhere_a_successor_brings_the_effect_exactly_once(rig: Rig, point: str, passage: int) -> None:
    rig.write(*some(30), submission("ben", "dead"))
    with pytest.raises(Crash):
        rig.worker("a", Faults(point, passage, crash), batch_size=10).run()
    rig.bury("a")
    rig.run("b", batch_size=10)
    assert told_once(rig)
    assert sum(submissions for submissions, _ in rig.people().values()) == 30
    assert len(set(rig.event_ids())) == 30
    assert set(rig.reasons()) == {"impossible"}
    assert len({str(letter) for letter in rig.letters()}) == 1


def test_after_a_crash_at_most_the_last_batch_of_a_partition_goes_out_again_byte_for_byte(database: str) -> None:
    rig = Rig(database, partitions=1)
    rig.write(*some(30))
    rig.run("a", Faults("after_produce", 2, crash), batch_size=10)
    rig.run("b", batch_size=10)
    records = rig.log.records(PEOPLE_CHANGED.name)
    assert len(records) == 40
    assert len({as_written(r) for r in records}) == 30


def test_an_idle_worker_keeps_nothing_to_publish_even_when_it_dies_then(rig: Rig) -> None:
    rig.write(*some(10))
    rig.run("a", idle=crash)
    assert rig.pending() == []


def test_a_clean_stop_keeps_nothing_to_publish_so_a_reset_after_it_sends_nothing(rig: Rig) -> None:
    rig.write(*some(10))
    faults = Faults("after_commit", 1)
    worker = rig.worker("a", faults)
    faults.strike = worker.stop
    worker.run()
    assert rig.pending() == []
    rig.log.committed(GROUP).clear()
    rig.run("b")
    assert len(rig.event_ids()) == 10


def test_what_a_partition_that_exists_no_more_left_is_published_at_the_start(rig: Rig) -> None:
    rig.write(*some(10))
    rig.run("a", Faults("after_db", 1, crash))
    rig.change("UPDATE pending SET partition = partition + 10; UPDATE fence SET partition = partition + 10")
    rig.run("b")
    assert len(set(rig.event_ids())) == 10
    assert rig.pending() == []
    assert rig.ask("SELECT count(*) FROM fence WHERE partition >= 10 AND epoch > 1")[0][0] > 0


def test_a_repair_lets_a_dead_id_in_again_once_for_each_number(rig: Rig) -> None:
    rig.write(submission("ana", "dead"))
    rig.run()
    rig.write(submission("ana", "dead", repair=1), submission("ana", "dead", repair=1))
    rig.run()
    assert [letter["attempt"] for letter in rig.letters()] == [1, 2]
    rig.service = mended(rig.service)
    rig.write(submission("ana", "dead", repair=1))
    rig.run()
    assert rig.inbox() == {"dead": 1}
    rig.write(submission("ana", "dead", repair=2), submission("ana", "dead", repair=2))
    rig.run()
    assert rig.inbox() == {"done": 1}
    assert rig.people() == {"ana": (1, 1)}


def test_a_repair_of_an_id_that_is_not_dead_is_a_repeat(rig: Rig) -> None:
    rig.write(submission("ana"))
    rig.run()
    rig.write(submission("ana", repair=1))
    rig.run()
    assert rig.people() == {"ana": (1, 1)}


def test_each_decision_is_folded_into_what_the_next_one_sees(rig: Rig) -> None:
    rig.write(*(submission("ana", n=n) for n in range(4)))
    rig.run()
    assert rig.people() == {"ana": (4, 4)}
    assert rig.told() == {"ana": (4, 4)}


def test_a_person_in_two_partitions_with_two_workers_is_counted_once_for_each_record(database: str) -> None:
    """Both workers lock the same row: the second sees what the first decided."""
    rig = Rig(database, activity_partitions=3)
    rig.write(submission(OF_TWO_WORKERS))
    rig.run("a")
    rig.write(submission(OF_TWO_WORKERS, n=2), activity(OF_TWO_WORKERS))
    rig.log.join(GROUP, "b", tuple(t.name for t in INPUTS))
    other = threading.Thread(target=lambda: rig.run("b"))

    def start_the_other() -> None:
        other.start()
        time.sleep(0.3)  # it reaches the row that we hold

    rig.run("a", Faults("in_transaction", 1, start_the_other))
    other.join(10)
    rig.log.expel(GROUP, "b")
    assert rig.people() == {OF_TWO_WORKERS: (2, 3)}
    assert told_once(rig)


def as_written(record: Record) -> tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]:
    return record.key, record.value, tuple(record.headers)


def mended(service: Service) -> Service:
    """The service once its defect is mended: `dead` counts like any other submission."""

    def decide_kindly(event: Incoming, world: World, context: Context) -> Verdict:
        return decide(replace(event, data=event.data.model_copy(update={"message": ""})), world, context)

    return replace(service, decide=decide_kindly)
