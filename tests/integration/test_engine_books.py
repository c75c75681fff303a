"""The engine and its rule books (DESIGN §4): followed as events, kept in the service's own schema."""

import threading
import time

import psycopg2
import pytest
import structlog.testing
from pydantic import BaseModel

from schemas.events.people import PersonChanged
from schemas.topics import PEOPLE_CHANGED, RULES_PUBLISHED
from services.runtime.faults import Faults
from services.runtime.follower import Books, follow, restore
from services.runtime.memory.clients import MemoryReader
from services.runtime.transport import Record
from services.runtime.worker import Worker
from tests.rig import Rig, quiet
from tests.toy import ToyRules, submission, toy

__all__ = ["quiet"]
FIRST, SECOND, WRONG = "greeting: hello", "greeting: good day", "greeting: [1"


@pytest.fixture
def rig(database: str) -> Rig:
    return Rig(database, toy(books=True))


def cited(rig: Rig) -> list[str | None]:
    """The version that each decision cites, in the order told."""
    records = rig.log.records(PEOPLE_CHANGED.name)
    return [PersonChanged.model_validate_json(r.value or b"").rules_version for r in records]


def greeting(worker: Worker) -> object:
    rules: BaseModel = worker.books.active["toy"].rules
    return rules.model_dump()["greeting"]


def test_without_an_active_book_nothing_is_read_until_one_comes(rig: Rig) -> None:
    rig.write(submission("ana"))
    rig.publish_book(FIRST, activate=False)
    worker = rig.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    time.sleep(0.3)
    assert "no active rule book" in worker.trouble
    assert rig.people() == {}
    version = rig.publish_book(FIRST)
    thread.join(10)
    assert rig.people() == {"ana": (1, 1)}
    assert cited(rig) == [version]


def test_a_worker_waiting_for_a_book_can_be_stopped(rig: Rig) -> None:
    worker = rig.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    time.sleep(0.1)
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_the_books_are_read_to_the_end_before_the_first_batch(rig: Rig) -> None:
    rig.publish_book(FIRST)
    second = rig.publish_book(SECOND)
    rig.write(submission("ana"))
    rig.run()
    assert cited(rig) == [second]


def test_an_activation_is_followed_between_batches(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.worker.LOOK_EVERY_S", 0)
    first = rig.publish_book(FIRST)
    rig.write(submission("ana"))
    versions = []

    def activate() -> None:
        versions.append(rig.publish_book(SECOND))
        rig.write(submission("ana", n=2))

    rig.run("a", Faults("in_transaction", 1, activate))
    assert cited(rig) == [first, *versions]


@pytest.mark.parametrize("wrong", [WRONG, "greeting: hello\nwrong: field", "- a list"])
def test_an_activation_of_a_book_that_is_wrong_keeps_the_old_one_also_after_a_restart(rig: Rig, wrong: str) -> None:
    first = rig.publish_book(FIRST)
    rig.run()
    rig.publish_book(wrong)
    assert greeting(rig.run()) == "hello"
    assert restore(rig.session(), rig.service.books).complete
    rig.write(submission("ana"))
    assert greeting(rig.run("b")) == "hello"
    assert cited(rig) == [first]


def test_an_activation_of_a_version_published_long_ago_finds_it_in_our_own_schema(rig: Rig) -> None:
    rig.publish_book(FIRST)
    rig.publish_book(SECOND)
    assert greeting(rig.run()) == "good day"
    rig.publish_book(FIRST)
    assert greeting(rig.run("b")) == "hello"
    assert greeting(rig.run("c")) == "hello"


def test_a_worker_that_is_killed_while_it_reads_old_records_again_takes_the_pointer_nowhere_back(rig: Rig) -> None:
    rig.publish_book(FIRST)
    behind = restore(rig.session(), rig.service.books)
    second = rig.publish_book(SECOND)
    rig.run("a")

    class UpToTheFirst(MemoryReader):
        """Its next poll never comes."""

        def poll(self, timeout_s: float, max_records: int = 5000) -> list[Record]:
            return super().poll(timeout_s, 2)

    follow(rig.session(), behind, UpToTheFirst(rig.log, [RULES_PUBLISHED.name]), 0)
    assert rig.ask("SELECT version FROM rulebook_active") == [(second,)]
    assert greeting(rig.run("b")) == "good day"


def test_a_reader_that_begins_anew_keeps_the_book_in_force_meanwhile(rig: Rig) -> None:
    rig.publish_book(FIRST)
    second = rig.publish_book(SECOND)
    books, records = Books({"toy": ToyRules}), rig.log.records(RULES_PUBLISHED.name)
    for record in (*records, *records[:2]):
        books.fold(record)
    assert books.active["toy"].version == second


def test_a_rollback_after_a_restart_is_refused_by_nobody(rig: Rig) -> None:
    first = rig.publish_book(FIRST)
    rig.publish_book(SECOND)
    rig.run("a")
    rig.activate_book(first)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    with structlog.testing.capture_logs() as said:
        assert greeting(rig.run("b")) == "hello"
    assert [(e["event"], e["version"]) for e in said if e["event"].startswith("rules.")][-1] == (
        "rules.activated", first)  # fmt: skip
    assert "rules.refused" not in {e["event"] for e in said}
    assert rig.ask("SELECT version FROM rulebook_active") == [(first,)]


def test_a_book_that_came_while_the_database_was_away_is_kept_once_it_is_back(rig: Rig) -> None:
    version = rig.publish_book(FIRST)
    books, reader = Books({"toy": ToyRules}), MemoryReader(rig.log, [RULES_PUBLISHED.name])
    gone = rig.session()
    gone.close()
    with pytest.raises(psycopg2.InterfaceError):
        follow(gone, books, reader, 0)
    follow(rig.session(), books, reader, 0)
    assert rig.ask("SELECT book, version FROM rulebook_active") == [("toy", version)]
    assert books.complete
