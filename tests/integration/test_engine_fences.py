"""The engine, DESIGN §4 points 4, 5: fences; compacted topics that never end stale. Memory log, real PostgreSQL."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.topics import LEADS_RECEIVED, PEOPLE_CHANGED
from services.runtime import publisher
from services.runtime.errors import Unavailable
from services.runtime.faults import Faults
from services.runtime.postgres import Session
from services.runtime.transport import Consumer, Message, Partition, Record
from tests.rig import GROUP, OF_TWO_WORKERS, PatientConsumer, Rig, crash, quiet, told_once
from tests.toy import INPUTS, activity, submission

__all__ = ["quiet"]


@pytest.fixture
def rig(database: str) -> Rig:
    return Rig(database)


def once(action: Callable[[], object]) -> Callable[[], None]:
    """The action, the first time only."""
    left = [action]

    def act() -> None:
        if left:
            left.pop()()

    return act


def take_over(rig: Rig, name: str = "b", faults: Faults | None = None) -> Callable[[], None]:
    """The broker gives up on worker a, and another one does all its work."""

    def action() -> None:
        rig.log.expel(GROUP, "a")
        rig.run(name, faults)

    return action


@pytest.mark.parametrize("point", ["after_db", "before_produce"])
def test_a_fenced_worker_publishes_nothing_after_a_takeover(rig: Rig, point: str) -> None:
    rig.write(*(submission(f"person {n}") for n in range(20)))
    faults = Faults(point, 1, take_over(rig))
    rig.run("a", faults)
    assert len(rig.event_ids()) == len(set(rig.event_ids())) == 20
    assert told_once(rig)


def test_a_fenced_worker_seeks_back_and_goes_on_once_it_has_joined_anew(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}") for n in range(20)))
    rig.run("a", arrived=once(take_over(rig)))
    rig.write(submission("ana", n=2))
    rig.run("a")
    assert len(rig.people()) == 21
    assert told_once(rig)
    assert rig.log.committed(GROUP)[LEADS_RECEIVED.name, 0] == len(
        [r for r in rig.log.records(LEADS_RECEIVED.name) if r.partition == 0]
    )


def test_a_fenced_worker_cannot_put_its_batch_in_place_of_what_the_taker_has_not_yet_published(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}") for n in range(20)))

    def take_over_and_die() -> None:
        rig.log.expel(GROUP, "a")
        other = rig.worker("b", Faults("after_db", 1, crash))
        with pytest.raises(BaseException):  # noqa: B017, PT011 - a crash is not an Exception
            other.run()
        rig.log.expel(GROUP, "b")
        assert rig.event_ids() == []

    rig.run("a", arrived=once(take_over_and_die), batch_size=5)
    assert len(set(rig.event_ids())) == 20
    assert told_once(rig)


def test_a_worker_frozen_in_its_transaction_loses_the_session_and_goes_on(rig: Rig) -> None:
    """Its locks must not hold up the others: PostgreSQL ends a session that idles in a transaction."""
    rig.write(*(submission(f"person {n}") for n in range(5)))
    sessions = rig.session

    def impatient() -> Session:
        session = sessions()
        session.cursor().execute("SET idle_in_transaction_session_timeout = '200ms'")
        session.commit()
        return session

    rig.session = impatient  # type: ignore[method-assign]  # the same, with less patience
    rig.run("a", Faults("in_transaction", 1, take_over(rig)))
    assert len(rig.people()) == 5
    assert told_once(rig)
    assert rig.reasons() == []


def test_a_worker_that_was_too_slow_between_check_and_send_sends_nothing_and_recovers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "SEND_WITHIN_S", -1.0)
    sent_before = []

    def hurry() -> None:
        sent_before.append(len(rig.event_ids()))
        if len(sent_before) == 2:
            monkeypatch.setattr(publisher, "SEND_WITHIN_S", 2.0)

    rig.write(submission("ana"))
    rig.run("a", Faults("after_db", 1), arrived=hurry)
    assert sent_before[:2] == [0, 0]
    assert rig.told() == {"ana": (1, 1)}
    assert told_once(rig)


def test_a_successful_commit_of_offsets_proves_nothing(rig: Rig) -> None:
    """A member that lost the partition rewinds the group; the records it brings back are repeats."""
    rig.write(*(submission(f"person {n}") for n in range(10)))
    rig.run("a")
    for partition in list(rig.log.committed(GROUP)):
        rig.log.committed(GROUP)[partition] = 1
    rig.run("b")
    assert len(rig.event_ids()) == 10


def test_offsets_that_run_ahead_of_the_fence_are_not_believed(database: str) -> None:
    """After the database was restored from a backup the group's offsets lie: what is not applied is read again."""
    rig = Rig(database, partitions=1)
    rig.write(*(submission(f"person {n}") for n in range(10)))
    rig.run("a")
    rig.change("TRUNCATE inbox, person; UPDATE fence SET next_offset = 4 WHERE next_offset = 10")
    rig.run("b")
    assert len(rig.people()) == 6


def test_a_worker_that_cannot_join_anew_at_once_tries_again(rig: Rig) -> None:
    rig.write(*(submission(f"person {n}") for n in range(4)))
    arrivals: list[int] = []

    def lose_the_fences() -> None:
        arrivals.append(1)
        if len(arrivals) == 2:
            rig.change("UPDATE fence SET epoch = epoch + 1")

    worker = rig.worker("a", arrived=lose_the_fences, batch_size=1)
    join, joined = worker.links.consumer, list[int]()

    def reluctant() -> Consumer:
        joined.append(1)
        if len(joined) == 2:
            raise Unavailable("the broker does not let us in")
        return join()

    worker.links = replace(worker.links, consumer=reluctant)
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(8)
    worker.stop()
    assert len(joined) == 3
    assert len(rig.people()) == 4


def test_a_fenced_worker_is_not_ready_until_it_has_its_fences_again(rig: Rig) -> None:
    rig.write(submission("ana"))
    told: list[str] = []

    class Newcomer(PatientConsumer):
        """Gets its partitions with the third poll, as after a join on a busy cluster."""

        def poll(self, timeout_s: float, max_records: int) -> list[Record]:
            told.append(worker.trouble)
            return super().poll(timeout_s, max_records) if len(told) > 2 else []

        def assignment(self) -> frozenset[Partition]:
            return super().assignment() if len(told) > 2 else frozenset()

    def join_anew() -> Consumer:
        worker.links = replace(worker.links, consumer=lambda: Newcomer(rig.log, "a", lambda: None, worker.stop))
        return first()

    lose_the_fences = Faults("after_db", 1, lambda: rig.change("UPDATE fence SET epoch = epoch + 1"))
    worker = rig.worker("a", lose_the_fences)
    first = worker.links.consumer
    worker.links = replace(worker.links, consumer=join_anew)
    rig.write(submission("ben"))
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(10)
    assert [text.partition(":")[0] for text in told[:3]] == ["fenced"] * 3
    assert worker.trouble == ""
    assert len(rig.people()) == 2


def two_workers(rig: Rig) -> None:
    """Member b exists too, and holds the activities of the person that both share."""
    rig.log.join(GROUP, "b", tuple(t.name for t in INPUTS))


def test_two_workers_that_publish_in_the_wrong_order_leave_the_later_state_on_the_log(database: str) -> None:
    rig = Rig(database, activity_partitions=3)
    rig.write(submission(OF_TWO_WORKERS))
    rig.run("a")
    rig.write(submission(OF_TWO_WORKERS, n=2), activity(OF_TWO_WORKERS))
    two_workers(rig)
    rig.run("a", Faults("before_produce", 1, once(lambda: rig.run("b"))))
    assert rig.people() == {OF_TWO_WORKERS: (2, 3)}
    assert rig.told() == {OF_TWO_WORKERS: (2, 3)}
    assert told_once(rig)


def test_a_correction_that_was_not_acknowledged_is_written_again(database: str) -> None:
    rig = Rig(database, activity_partitions=3)
    rig.write(submission(OF_TWO_WORKERS))
    rig.run("a")
    rig.write(submission(OF_TWO_WORKERS, n=2), activity(OF_TWO_WORKERS))
    two_workers(rig)

    def refuse_next_correction() -> None:
        rig.run("b")
        third = rig.event_ids()[-1]
        left = [third]
        rig.log.refuses = lambda m: is_event(m, third) and bool(left) and left.pop() == third

    rig.run("a", Faults("before_produce", 1, refuse_next_correction))
    rig.log.expel(GROUP, "b")
    assert rig.told() == {OF_TWO_WORKERS: (2, 3)}


def test_after_a_partial_failure_every_key_ends_with_its_present_state(rig: Rig) -> None:
    rig.write(*(submission(f"person {n % 4}", n=n) for n in range(12)))
    left = [3]

    def refuses(m: Message) -> bool:
        left[0] -= m.topic == PEOPLE_CHANGED.name
        return m.topic == PEOPLE_CHANGED.name and left[0] in (0, -4)

    rig.log.refuses = refuses
    rig.run("a")
    assert told_once(rig)
    assert len(set(rig.event_ids())) == 12


def test_an_unacknowledged_record_is_written_again_with_the_same_id(rig: Rig) -> None:
    rig.write(submission("ana"))
    left = [1]
    rig.log.mute = lambda m: bool(m.topic == PEOPLE_CHANGED.name and left and left.pop())
    rig.run("a")
    assert len(rig.event_ids()) == 2
    assert len(set(rig.event_ids())) == 1


def is_event(message: Message, event_id: str) -> bool:
    return message.topic == PEOPLE_CHANGED.name and dict(message.headers)["ce_id"] == event_id.encode()
