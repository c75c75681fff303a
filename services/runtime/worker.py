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

from schemas.topics import Topic
from services.runtime import fence, gaps, halt, metrics, outbox, pending
from services.runtime.attempts import Attempts
from services.runtime.batch import Batches, Result, next_offsets
from services.runtime.decode import Entry
from services.runtime.errors import CaudalError, Fenced, Unavailable
from services.runtime.follower import BookReader, Books, follow, follow_to_end
from services.runtime.holding import Holding, epochs
from services.runtime.lookout import Lookout
from services.runtime.postgres import Session, transaction
from services.runtime.publisher import Publisher
from services.runtime.takeover import Takeover
from services.runtime.tally import DeadInARow, Spent, report
from services.runtime.transport import Consumer, Partition, Record
from services.runtime.verdict import Context

log = structlog.get_logger()
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError, psycopg2.IntegrityError)
RELAY_EVERY_S = 0.1
COMMIT_EVERY_S, COMMIT_AFTER = 0.2, 50
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
    _held: Holding = field(default_factory=dict)
    _polled: dict[Partition, int] = field(default_factory=dict)
    _suspect: frozenset[Partition] = frozenset()
    _counts: dict[str, int] = field(default_factory=dict)
    _joined: bool = False
    _rejoining_until: float = 0.0
    _lookout: Lookout = field(default_factory=Lookout)
    _dead_in_a_row: DeadInARow = field(default_factory=DeadInARow)
    _failures: int = 0
    _uncommitted: set[Partition] = field(default_factory=set)
    _committed_at: float = 0.0
    _since_commit: int = 0
    _looked_at: float = 0.0
    _relayed_at: float = 0.0
    _takeover: Takeover = field(init=False)
    _attempts: Attempts = field(init=False)
    _session: Session = field(init=False)
    _consumer: Consumer = field(init=False)
    _publisher: Publisher = field(init=False)
    _reader: BookReader = field(init=False)

    def __post_init__(self) -> None:
        self._takeover = Takeover(self.name, self.confirmed_gaps)
        self._attempts = Attempts(self.batches, self.batch_size)

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
    def topics(self) -> tuple[Topic, ...]:
        """Inputs of the service."""
        return self.batches.service.inputs

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
        self._join()
        self._count_partitions()
        self._takeover.publish_orphans(self._session, self._publisher, self._counts)

    def _join(self) -> None:
        self._consumer, self._joined = self.links.consumer(), True

    def _turn(self) -> None:
        if not self._joined:
            self._join()
        records = self._consumer.poll(0.1 if self.batches.service.clocks else 0.25, self._attempts.room)
        for r in reversed(records):
            self._polled[r.topic, r.partition] = r.offset
        if self._sync(self._consumer.assignment()):
            self._refuse_jumps()
            self._work(records)
            self._relay()
            self._look_around()
        self._polled.clear()

    def _work(self, records: Sequence[Record]) -> None:
        """One batch of what belongs to us and was not read in vain."""
        ours = self._held.keys() & self._polled.keys()
        mine = [r for r in records if (r.topic, r.partition) in ours]
        if mine:
            self._cycle([self.batches.decoder.entry(r) for r in mine])
        elif not records:
            self._empty_pending()
            self._commit_offsets()

    def _sync(self, assigned: frozenset[Partition]) -> bool:
        """Give up fences of lost partitions and take those of new ones; False after joining anew."""
        if self._suspect & assigned:
            log.warning("worker.rejoins", partitions=sorted(self._suspect & assigned))
            self._suspect = frozenset()
            self._held.clear()
            self._joined, self._rejoining_until = False, time.monotonic() + REJOIN_S
            self._consumer.close()
            return False
        self._suspect = frozenset()
        for partition in self._held.keys() - assigned:
            del self._held[partition]
        if assigned - self._held.keys():
            self._take(assigned - self._held.keys())
        return True

    def _take(self, partitions: frozenset[Partition]) -> None:
        metrics.REBALANCES.labels(self.batches.service.name).inc()
        self._count_partitions()
        taken, republished = self._takeover.take(self._session, self._consumer, self._publisher, partitions)
        self._held |= taken
        for p, held in taken.items():
            if held.comes_next is not None:
                self._skip_nothing(p, held.comes_next)
        self._rejoining_until = 0.0
        log.info("partitions.taken", partitions=[f"{t}/{p}" for t, p in sorted(partitions)], republished=republished)

    def _skip_nothing(self, partition: Partition, comes_next: int) -> None:
        """Go back where the group's offset is ahead of the fence's: what lies between was never applied."""
        if self._polled.get(partition, self._consumer.position(partition)) > comes_next:
            self._consumer.seek(partition, comes_next)
            self._polled.pop(partition, None)

    def _refuse_jumps(self) -> None:
        """A client goes on by itself where the log has lost what comes next; we do not. Raises `LogGap`.

        Holes in a compacted topic and a rebalance look alike at first: the log's bounds tell.
        """
        known = {p: held.comes_next for p, held in self._held.items() if held.comes_next is not None}
        jumped = {p: offset for p, offset in known.items() if self._polled.get(p, offset) != offset}
        gaps.refuse(self._consumer, jumped)  # also confirmed ones: they are passed where a partition is taken

    def _cycle(self, entries: Sequence[Entry]) -> None:
        """One batch from transaction to offsets, in as many parts as it takes."""
        started = time.perf_counter()
        held = epochs(self._held, next_offsets(entries))
        for part, result in self._attempts.run(self._session, held, entries, self._context()):
            self._publish(part, result, started)
            started = time.perf_counter()

    def _publish(self, entries: Sequence[Entry], result: Result, started: float) -> None:
        faults, stored = self.batches.faults, time.perf_counter()
        faults.passed("after_db")
        items = [f for p in sorted(result.frames) for f in result.frames[p]]
        faults.passed("before_produce")
        if items:
            self._publisher.publish(self._session, epochs(self._held, next_offsets(entries)), items)
        faults.passed("after_produce")
        self._move_on(entries, result)
        self._commit_offsets(COMMIT_EVERY_S)
        faults.passed("after_commit")
        self.moved_at = time.monotonic()
        spent = Spent(stored - started, time.perf_counter() - stored)
        report(self.batches.service.name, len(entries), len(items), result, spent)
        self._dead_in_a_row.note(self._session, self.topics, entries, result)

    def _move_on(self, entries: Sequence[Entry], result: Result) -> None:
        offsets = next_offsets(entries)
        for p, offset in offsets.items():
            held = self._held[p]
            held.applied, held.comes_next = max(held.applied, offset), offset
            held.unpublished_text = bool(result.frames.get(p))
        self._uncommitted |= offsets.keys()
        self._since_commit += len(entries)

    def _commit_offsets(self, every_s: float = 0.0) -> None:
        """Tell the group how far we are, at most so often or each 50 records: what is read again the inbox knows."""
        if self._uncommitted and (
            self._since_commit >= COMMIT_AFTER or time.monotonic() - self._committed_at >= every_s
        ):
            self._since_commit = 0
            self._consumer.commit({p: self._held[p].applied for p in self._uncommitted & self._held.keys()})
            self._uncommitted.clear()
            self._committed_at = time.monotonic()

    def _look_around(self) -> None:
        """About once a second: how far are we behind, what do the rule books say."""
        now = time.monotonic()
        if looks := now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            follow(self._session, self.books, self._reader, 0)
            self._count_partitions()
            self._lookout.ask(self._consumer, self._held, self.links.now())
        self._lookout.note_applied(self._session, self._consumer, self._held, passed_over=looks)

    def _relay(self) -> None:
        """Publish what clocks and calls decided, for the slots that fall to our partitions of the first input."""
        first = self.topics[0].name
        mine = [p for p in self._held if p[0] == first]
        if mine and time.monotonic() - self._relayed_at >= RELAY_EVERY_S:
            self._relayed_at = time.monotonic()
            faults, ours = self.batches.faults, epochs(self._held, mine)
            for relayed in outbox.relay(self._session, self._publisher, faults, ours, self._counts[first]):
                metrics.OUTBOX_RELAYED.labels(self.batches.service.name).inc(relayed)

    def _empty_pending(self) -> None:
        """Nothing is on its way: forget the text of what was published."""
        done = [p for p, held in self._held.items() if held.unpublished_text]
        if done:
            pending.clear(self._session, epochs(self._held, done))
            for p in done:
                self._held[p].unpublished_text = False

    def _when_fenced(self, error: Fenced) -> None:
        """Somebody else writes for these partitions: drop their records; the next assignment decides the rest."""
        log.warning("worker.fenced", partitions=sorted(error.partitions))
        metrics.FENCED.labels(self.batches.service.name).inc()
        self._suspect, self.trouble = error.partitions, str(error)[:200]
        for partition in error.partitions:
            self._held.pop(partition, None)
        self._seek_back()

    def _way_back(self, error: Exception) -> None:
        """Roll back, forget all fences, seek back what was polled, wait, and go on as after a takeover."""
        self._failures += 1
        self.trouble = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
        dependency = "kafka" if isinstance(error, Unavailable) else "postgres"
        log.warning("dependency.failed", dependency=dependency, error=type(error).__name__, detail=self.trouble[:300])
        metrics.UNAVAILABLE.labels(self.batches.service.name, dependency).inc()
        self._held.clear()
        self._seek_back()
        self._stop.wait(min(1.0, 0.05 * 2**self._failures))
        if dependency == "postgres":
            self._reconnect()

    def _reconnect(self) -> None:
        try:
            self._session.close()
            self._session = self.links.session()
        except psycopg2.Error:
            log.info("postgres.away")

    def _seek_back(self) -> None:
        for partition, offset in self._polled.items():
            self._held.pop(partition, None)
            self._consumer.seek(partition, offset)
        self._polled.clear()

    def _count_partitions(self) -> None:
        counts = {**self._counts, **self._consumer.partition_counts([t.name for t in self.topics])}
        if counts != self._counts:
            with transaction(self._session) as cursor:
                fence.create(cursor, counts)
            self._counts = counts

    def _context(self) -> Context:
        return Context(self.links.now(), dict(self.books.active))

    def _close(self) -> None:
        """Leave cleanly: everything is published, so nothing needs to be kept for a successor."""
        try:
            self._empty_pending()
            self._consumer.commit({p: h.applied for p, h in self._held.items() if h.applied}, wait=True)
        except (CaudalError, psycopg2.Error) as error:
            log.warning("close.incomplete", error=type(error).__name__)
        self._consumer.close()
        self._session.close()
