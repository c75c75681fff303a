"""The batch worker: polls, keeps its fences, runs batches, publishes, commits offsets (DESIGN §4).

    take partition: raise its fence, publish its pending
    poll -> decode -> one transaction { fence -> inbox -> gather -> decide -> apply -> pending } -> produce -> commit

Whatever fails in a dependency has one way back, the same as a takeover: roll back, forget all fences, seek back what
was polled, wait, poll, take the fences again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg2
import structlog

from services.runtime import fence, halt, metrics, pending
from services.runtime.attempts import Attempts
from services.runtime.batch import Batches, Result, next_offsets
from services.runtime.commits import Commits
from services.runtime.decode import Entry
from services.runtime.errors import CaudalError, Fenced, Unavailable
from services.runtime.follower import BookReader, Books, follow, follow_to_end
from services.runtime.holding import epochs
from services.runtime.lookout import Lookout
from services.runtime.member import Member
from services.runtime.outbox import Relay
from services.runtime.postgres import Session, transaction
from services.runtime.publisher import Publisher
from services.runtime.takeover import Takeover
from services.runtime.tally import DeadInARow, Spent, report
from services.runtime.transport import Consumer, Partition, Record
from services.runtime.verdict import Context

log = structlog.get_logger()
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError, psycopg2.IntegrityError)
REJOIN_S = 10.0
"""After this a fenced worker that got no partition back is well: there are more workers than partitions."""
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Links:
    """How a worker reaches its dependencies; each call opens a new one."""

    consumer: Callable[[], Consumer]
    publisher: Callable[[], Publisher]
    session: Callable[[], Session]
    books: Callable[[int], BookReader]
    now: Callable[[], datetime]


@dataclass(slots=True)
class Worker:
    """Runs one service until told to stop. One thread; clocks run beside it in their own."""

    batches: Batches
    links: Links
    books: Books
    name: str
    batch_size: int = 500
    confirmed_gaps: frozenset[str] = frozenset()
    alive_at: float = 0.0
    moved_at: float = 0.0
    trouble: str = "starting"
    _stop: threading.Event = field(default_factory=threading.Event)
    _counts: dict[str, int] = field(default_factory=dict)
    _commits: Commits = field(default_factory=Commits)
    _lookout: Lookout = field(default_factory=Lookout)
    _dead_in_a_row: DeadInARow = field(default_factory=DeadInARow)
    _rejoining_until: float = 0.0
    _failures: int = 0
    _looked_at: float = 0.0
    _takeover: Takeover = field(init=False)
    _attempts: Attempts = field(init=False)
    _relay: Relay = field(init=False)
    _member: Member = field(init=False)
    _session: Session = field(init=False)
    _publisher: Publisher = field(init=False)
    _reader: BookReader = field(init=False)

    def __post_init__(self) -> None:
        self._takeover = Takeover(self.name, self.confirmed_gaps)
        self._attempts = Attempts(self.batches, self.batch_size)
        self._relay = Relay(self.batches.service, self.batches.faults)

    def stop(self) -> None:
        """Finish the batch at hand, then leave."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped. Raises `LogGap`, or `Halted` when dead letters come in a row."""
        self._open()
        while not self._stop.is_set():
            try:
                self._turn()
                self._failures, self.trouble = 0, self.trouble if time.monotonic() < self._rejoining_until else ""
            except Fenced as error:
                self._when_fenced(error)
            except (Unavailable, *AWAY) as error:
                self._way_back(error)
            self.alive_at = time.monotonic()
        self._close()

    @property
    def behind(self) -> bool:
        """Whether records wait that the log held at the last look."""
        return self._lookout.behind

    @property
    def partition_counts(self) -> Mapping[str, int]:
        """Partitions of each input topic, as counted at the start; empty before."""
        return self._counts

    def _open(self) -> None:
        self._session = self.links.session()
        halt.refuse(self._session, self.confirmed_gaps)
        self._reader = self.links.books(self.books.next_offset)
        follow_to_end(self._session, self.books, self._reader)
        while not self.books.complete and not self._stop.is_set():
            self.trouble = "no active rule book; publish one with `caudal rules publish`"
            self.alive_at = time.monotonic()
            follow(self._session, self.books, self._reader, 0.3)
        self._publisher = self.links.publisher()
        self._member = Member(self.links.consumer())
        self._count_partitions()
        self._takeover.publish_orphans(self._session, self._publisher, self._counts)

    def _turn(self) -> None:
        if self._member.left:
            self._member = Member(self.links.consumer())
        records = self._member.poll(0.1 if self.batches.service.clocks else 0.25, self._attempts.room)
        if self._member.fenced:
            self._leave()
            return
        if self._member.unheld:
            self._take(self._member.unheld)
        self._member.refuse_jumps()
        self._work(records)
        self._relay.run(self._session, self._publisher, self._member.held, self._counts)
        self._look_around()

    def _leave(self) -> None:
        """The group gives us what another worker writes for: only who joins anew knows who is right."""
        log.warning("worker.rejoins", partitions=sorted(self._member.fenced))
        self._rejoining_until = time.monotonic() + REJOIN_S
        self._member.leave()

    def _take(self, partitions: frozenset[Partition]) -> None:
        metrics.REBALANCES.labels(self.batches.service.name).inc()
        self._count_partitions()
        taken, republished = self._takeover.take(self._session, self._member.consumer, self._publisher, partitions)
        self._member.hold(taken)
        self._rejoining_until = 0.0
        log.info("partitions.taken", partitions=[f"{t}/{p}" for t, p in sorted(partitions)], republished=republished)

    def _work(self, records: Sequence[Record]) -> None:
        """One batch of what belongs to us and was not read in vain."""
        if mine := self._member.ours(records):
            self._cycle([self.batches.decoder.entry(r) for r in mine])
        elif not records:
            pending.clear_idle(self._session, self._member.held)
            self._commits.commit(self._member)

    def _cycle(self, entries: Sequence[Entry]) -> None:
        """One batch from transaction to offsets, in as many parts as it takes."""
        started = time.perf_counter()
        held = epochs(self._member.held, next_offsets(entries))
        context = Context(self.links.now(), dict(self.books.active))
        for part, result in self._attempts.run(self._session, held, entries, context):
            self._publish(part, result, started)
            started = time.perf_counter()

    def _publish(self, entries: Sequence[Entry], result: Result, started: float) -> None:
        faults, stored, offsets = self.batches.faults, time.perf_counter(), next_offsets(entries)
        faults.passed("after_db")
        items = [f for p in sorted(result.frames) for f in result.frames[p]]
        faults.passed("before_produce")
        if items:
            self._publisher.publish(self._session, epochs(self._member.held, offsets), items)
        faults.passed("after_produce")
        self._member.move_on(offsets, result.frames.keys())
        self._commits.note(offsets.keys(), len(entries))
        self._commits.commit_if_due(self._member)
        faults.passed("after_commit")
        self.moved_at = time.monotonic()
        spent = Spent(stored - started, time.perf_counter() - stored)
        report(self.batches.service.name, len(entries), len(items), result, spent)
        self._dead_in_a_row.note(self._session, self.batches.service.inputs, entries, result)

    def _look_around(self) -> None:
        """About once a second: how far are we behind, what do the rule books say."""
        now = time.monotonic()
        if looks := now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            follow(self._session, self.books, self._reader, 0)
            self._count_partitions()
            self._lookout.ask(self._member.consumer, self._member.held, self.links.now())
        self._lookout.note_applied(self._session, self._member.consumer, self._member.held, passed_over=looks)

    def _when_fenced(self, error: Fenced) -> None:
        """Somebody else writes for these partitions: drop their records; the next assignment decides the rest."""
        log.warning("worker.fenced", partitions=sorted(error.partitions))
        metrics.FENCED.labels(self.batches.service.name).inc()
        self.trouble = str(error)[:200]
        self._member.drop(error.partitions)

    def _way_back(self, error: Exception) -> None:
        """Roll back, forget all fences, seek back what was polled, wait, and go on as after a takeover."""
        self._failures += 1
        self.trouble = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
        dependency = "kafka" if isinstance(error, Unavailable) else "postgres"
        log.warning("dependency.failed", dependency=dependency, error=type(error).__name__, detail=self.trouble[:300])
        metrics.UNAVAILABLE.labels(self.batches.service.name, dependency).inc()
        self._member.drop_all()
        self._stop.wait(min(1.0, 0.05 * 2**self._failures))
        if dependency == "postgres":
            self._reconnect()

    def _reconnect(self) -> None:
        try:
            self._session.close()
            self._session = self.links.session()
        except psycopg2.Error:
            log.info("postgres.away")

    def _count_partitions(self) -> None:
        topics = [t.name for t in self.batches.service.inputs]
        counts = {**self._counts, **self._member.consumer.partition_counts(topics)}
        if counts != self._counts:
            with transaction(self._session) as cursor:
                fence.create(cursor, counts)
            self._counts = counts

    def _close(self) -> None:
        """Leave cleanly: everything is published, so nothing needs to be kept for a successor."""
        try:
            pending.clear_idle(self._session, self._member.held)
            self._member.consumer.commit({p: h.applied for p, h in self._member.held.items() if h.applied}, wait=True)
        except (CaudalError, psycopg2.Error) as error:
            log.warning("close.incomplete", error=type(error).__name__)
        self._member.consumer.close()
        self._session.close()
