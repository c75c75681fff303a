"""A rig for the engine: workers of one service on the memory log and a real database, one step after the other."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zlib import crc32

import psycopg2
import pytest
import structlog

from schemas import codec
from schemas.events.operations import RulesActivated, RulesPublished
from schemas.events.people import PersonChanged
from schemas.topics import ACTIVITIES_RECEIVED, DEADLETTERS, PEOPLE_CHANGED, RULES_PUBLISHED
from services.runtime.batch import Batches
from services.runtime.clocks import Clocks
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import restore
from services.runtime.inbox import Inbox
from services.runtime.memory.clients import MemoryConsumer, MemoryProducer, MemoryReader
from services.runtime.memory.log import MemoryLog
from services.runtime.postgres import Session, connect, migrate, select, transaction
from services.runtime.publisher import Publisher
from services.runtime.rulebook import book_version
from services.runtime.service import Service
from services.runtime.transport import Message, Record
from services.runtime.worker import Links, Worker
from tests.toy import INPUTS, START, TABLES, TOPICS, toy

GROUP = "caudal.toy"


def shared_people() -> list[str]:
    """With two partitions of submissions and three of activities, workers a and b share these people."""
    names = [f"person {n}" for n in range(99)]
    return [name for name in names if crc32(name.encode()) % 2 == 0 and crc32(name.encode()) % 3 == 2]


OF_TWO_WORKERS = shared_people()[0]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No logs: the default configuration draws every traceback with all its values, which takes seconds."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


class Crash(BaseException):
    """The process dies here: nothing of ours catches it."""


def crash() -> None:
    raise Crash


class PatientConsumer(MemoryConsumer):
    """Says when records have arrived, and when nothing has come for two polls: so a run ends by itself."""

    def __init__(self, log: MemoryLog, name: str, arrived: Callable[[], None], idle: Callable[[], None]) -> None:
        super().__init__(log, GROUP, sorted(t.name for t in INPUTS), name)
        self._arrived, self._idle, self._empty = arrived, idle, 0

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        records = super().poll(timeout_s, max_records)
        self._empty = 0 if records else self._empty + 1
        if records:
            self._arrived()
        elif self._empty >= 2:
            self._idle()
        return records


@dataclass
class Rig:
    """One database, one log, and the workers on them."""

    dsn: str
    service: Service = field(default_factory=toy)
    partitions: int = 2
    activity_partitions: int = 2
    database_away: bool = False
    now: datetime = START
    log: MemoryLog = field(init=False)
    sessions: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = MemoryLog(lambda: self.now, [ACTIVITIES_RECEIVED], self.activity_partitions, longest_wait_s=0)
        self.log.partitions = self.partitions
        self.log.create(TOPICS)
        migrate(self.dsn, "toy", ["services.runtime"])
        self.change(TABLES)

    def worker(
        self, name: str = "a", faults: Faults | None = None, *, arrived: Callable[[], None] = lambda: None,
        idle: Callable[[], None] | None = None, **changes: Any,
    ) -> Worker:  # fmt: skip
        """A worker that stops once it has nothing to do; `arrived` runs after a poll, before its batch."""
        decoder = Decoder({t.name: t for t in self.service.inputs}, self.service.for_ever)
        batches = Batches(self.service, decoder, Inbox(keep_data=self.service.keep_data), faults or Faults())
        links = Links(
            consumer=lambda: PatientConsumer(self.log, name, arrived, idle or worker.stop),
            publisher=lambda: Publisher(self.service, MemoryProducer(self.log)),
            session=self.session, now=lambda: self.now,
            books=lambda offset: MemoryReader(self.log, [RULES_PUBLISHED.name], {(RULES_PUBLISHED.name, 0): offset}),
        )  # fmt: skip
        worker = Worker(batches, links, restore(self.session(), self.service.books), name, **changes)
        return worker

    def run(self, name: str = "a", faults: Faults | None = None, **changes: Any) -> Worker:
        """Run a worker until it is idle, 20 s are over, or it crashes: then the broker finds that it is gone."""
        worker = self.worker(name, faults, **changes)
        patience = threading.Timer(20, worker.stop)
        patience.start()
        try:
            worker.run()
        except Crash:
            self.bury(name)
        finally:
            patience.cancel()
        return worker

    def bury(self, name: str) -> None:
        """What a crash leaves: the broker expels the member, the database ends its sessions."""
        self.log.expel(GROUP, name)
        for session in self.sessions:
            session.close()
        self.sessions.clear()

    def clocks(self, worker: Worker, faults: Faults | None = None, turns: int = 1) -> None:
        """Some turns of the clocks, right after each other."""
        turning = self.turning(worker, faults)
        try:
            for _ in range(turns):
                turning.turn()
        finally:
            turning.hang_up()

    def turning(self, worker: Worker, faults: Faults | None = None) -> Clocks:
        """The clocks beside a worker."""
        return Clocks(
            self.service, worker.batches.decoder, worker.books, lambda: worker.partition_counts, self.session,
            lambda: self.now, faults or Faults())  # fmt: skip

    def session(self) -> Session:
        """A new one, unless the database is away."""
        if self.database_away:
            raise psycopg2.OperationalError("the database does not answer")
        self.sessions.append(connect(self.dsn, "toy", "rig"))
        return self.sessions[-1]

    def write(self, *messages: Message) -> None:
        MemoryProducer(self.log).publish(messages, lambda: True)

    def change(self, sql: str, *parameters: object) -> None:
        session = connect(self.dsn, "toy", "rig-change", limits=False)
        with transaction(session) as cursor:
            cursor.execute(sql, parameters)
        session.close()

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows as they stand committed."""
        session = connect(self.dsn, "toy", "rig-ask")
        try:
            with transaction(session) as cursor:
                return select(cursor, sql, parameters)
        finally:
            session.close()

    def people(self) -> dict[str, tuple[int, int]]:
        """Submissions and version by identity, as decided."""
        return {
            i: (s, v)
            for i, s, v in self.ask("SELECT identity, submissions, version FROM person WHERE version > 0 ORDER BY 1")
        }

    def told(self) -> dict[str, tuple[int, int]]:
        """Submissions and version by identity, as the compacted topic ends."""
        found = {}
        for record in self.log.records(PEOPLE_CHANGED.name):
            if record.value is not None:
                person = PersonChanged.model_validate_json(record.value)
                found[person.person_id] = (person.submissions, person.version)
        return dict(sorted(found.items()))

    def event_ids(self) -> list[str]:
        """Ids of what was told, as often as it was written."""
        return [dict(r.headers)["ce_id"].decode() for r in self.log.records(PEOPLE_CHANGED.name)]

    def letters(self) -> list[dict[str, Any]]:
        """Dead letters as written."""
        model = DEADLETTERS.models[0]
        return [
            model.model_validate_json(r.value or b"").model_dump() for r in self.log.records(DEADLETTERS.name)
        ]  # fmt: skip

    def reasons(self) -> list[str]:
        return sorted(letter["reason"] for letter in self.letters())

    def pending(self) -> list[bytes]:
        return [bytes(row[0]) for row in self.ask("SELECT frames FROM pending WHERE frames <> ''")]

    def inbox(self) -> dict[str, int]:
        """Ids by state."""
        return dict(self.ask("SELECT state, count(*) FROM inbox GROUP BY 1 ORDER BY 1"))

    def publish_book(self, body: str, *, activate: bool = True) -> str:
        """Put a version of the rule book on its topic; its name."""
        version = book_version("toy", body)
        told = {"occurred_at": self.now, "recorded_at": self.now, "correlation_id": version, "author": "ana"}
        self._tell_rules(RulesPublished(cause_id=version, book="toy", book_version=version, body=body, **told))
        if activate:
            self.activate_book(version)
        return version

    def activate_book(self, version: str) -> None:
        """Point the rule book at a version."""
        told = {"occurred_at": self.now, "recorded_at": self.now, "correlation_id": version, "author": "ana"}
        self._tell_rules(RulesActivated(cause_id=f"{version}.on", book="toy", book_version=version, **told))

    def _tell_rules(self, event: RulesPublished | RulesActivated) -> None:
        headers = codec.write(event.cause_id, event.types[0], "caudal/cli")
        self.write(Message(RULES_PUBLISHED.name, b"toy", event.model_dump_json().encode(), headers))


def told_once(rig: Rig) -> bool:
    """Exactly once in effect: the last word on every person is what the table says, and no version has two ids."""
    records = [r for r in rig.log.records(PEOPLE_CHANGED.name) if r.value]
    versions: dict[tuple[bytes | None, int], set[str]] = {}
    for r in records:
        state = PersonChanged.model_validate_json(r.value or b"")
        versions.setdefault((r.key, state.version), set()).add(dict(r.headers)["ce_id"].decode())
    return all(len(ids) == 1 for ids in versions.values()) and rig.told() == rig.people()


__all__ = ["GROUP", "Crash", "Rig", "crash", "quiet", "told_once"]
