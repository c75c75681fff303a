"""How often a worker tells its group how far it is."""

import time

import pytest

from schemas.topics import LEADS_RECEIVED
from services.runtime import commits
from services.runtime.commits import COMMIT_AFTER, Commits
from services.runtime.holding import Position
from services.runtime.member import Member
from services.runtime.memory.clients import MemoryConsumer
from services.runtime.memory.log import MemoryLog
from tests.toy import START

FIRST, SECOND = (LEADS_RECEIVED.name, 0), (LEADS_RECEIVED.name, 1)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(lambda: START, [LEADS_RECEIVED], 2)


@pytest.fixture
def member(log: MemoryLog) -> Member:
    consumer = MemoryConsumer(log, "group", [LEADS_RECEIVED.name], "a")
    return Member(consumer, {FIRST: Position(1, 7), SECOND: Position(1, 9)})


@pytest.mark.parametrize(("records", "told"), [(COMMIT_AFTER - 1, {}), (COMMIT_AFTER, {FIRST: 7})])
def test_right_after_a_commit_only_many_records_are_worth_another(
    log: MemoryLog, member: Member, monkeypatch: pytest.MonkeyPatch, records: int, told: dict[object, int]
) -> None:
    monkeypatch.setattr(commits, "COMMIT_EVERY_S", 3600)
    worker = Commits(_at=time.monotonic())
    worker.note({FIRST}, records)
    worker.commit_if_due(member)
    assert log.committed("group") == told


def test_after_a_while_a_single_record_is_worth_a_commit(log: MemoryLog, member: Member) -> None:
    worker = Commits()
    worker.note({FIRST}, 1)
    worker.commit_if_due(member)
    assert log.committed("group") == {FIRST: 7}


def test_what_is_no_longer_held_is_not_committed(log: MemoryLog, member: Member) -> None:
    worker = Commits()
    worker.note({FIRST, SECOND}, 2)
    del member.held[FIRST]
    worker.commit(member)
    assert log.committed("group") == {SECOND: 9}


def test_what_is_committed_is_not_committed_again(log: MemoryLog, member: Member) -> None:
    worker = Commits()
    worker.note({FIRST}, 1)
    worker.commit(member)
    log.committed("group").clear()
    worker.commit(member)
    assert log.committed("group") == {}
