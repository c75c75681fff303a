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
from services.runtime import fence, frames, halt, metrics, outbox
from services.runtime.batch import Batches, Result, is_bad_data
from services.runtime.decode import Entry
from services.runtime.errors import CaudalError, Fenced, LogGap, Unavailable
from services.runtime.fence import SQL
from services.runtime.follower import BookReader, Books, follow, follow_to_end
from services.runtime.postgres import TOO_SLOW, Session, select, transaction
from services.runtime.publisher import Publisher
from services.runtime.transport import Consumer, Partition
from services.runtime.verdict import Context, Dead

log = structlog.get_logger()
Left = Sequence[tuple[str, int, memoryview]]
"""What `pending` holds: topic, partition, packed frames."""
CONFLICT_TRIES = 4
DEAD_IN_A_ROW = 200
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError, psycopg2.IntegrityError)
RELAY_EVERY_S = 0.1
COMMIT_EVERY_S = 0.2
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
class Position:
    """What the worker knows of one partition that it holds."""

    epoch: int
    applied: int
    asked: tuple[datetime, int] | None = None
    unpublished_text: bool = False


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
    behind: bool = False
    trouble: str = "starting"
    _stop: threading.Event = field(default_factory=threading.Event)
    _held: dict[Partition, Position] = field(default_factory=dict)
    _polled: dict[Partition, int] = field(default_factory=dict)
    _suspect: frozenset[Partition] = frozenset()
    _counts: dict[str, int] = field(default_factory=dict)
    _joined: bool = False
    _rejoining_until: float = 0.0
    _dead_in_a_row: int = 0
    _failures: int = 0
    _most: int = 0
    _uncommitted: set[Partition] = field(default_factory=set)
    _committed_at: float = 0.0
    _looked_at: float = 0.0
    _relayed_at: float = 0.0
    _session: Session = field(init=False)
    _consumer: Consumer = field(init=False)
    _publisher: Publisher = field(init=False)
    _reader: BookReader = field(init=False)

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
        self._publish_orphans()

    def _join(self) -> None:
        self._consumer, self._joined = self.links.consumer(), True

    def _turn(self) -> None:
        if not self._joined:
            self._join()
        records = self._consumer.poll(0.1 if self.batches.service.clocks else 0.25, self._most or self.batch_size)
        for r in reversed(records):
            self._polled[r.topic, r.partition] = r.offset
        if self._sync(self._consumer.assignment()):
            ours = self._held.keys() & self._polled.keys()
            mine = [r for r in records if (r.topic, r.partition) in ours]
            if mine:
                self._cycle([self.batches.decoder.entry(r) for r in mine])
            elif not records:
                self._empty_pending()
                self._commit_offsets()
            self._relay()
            self._look_around()
        self._polled.clear()

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
        """Raise the fences, publish what the owner before may not have published."""
        metrics.REBALANCES.labels(self.batches.service.name).inc()
        self._count_partitions()
        taken, left = self._raise_fences(partitions)
        epochs = {p: epoch for p, (epoch, _) in taken.items()}
        expected = {p: offset for p, (_, offset) in taken.items() if offset is not None}
        expected |= self._refuse_gaps(epochs, expected)
        republished = self._republish(epochs, left)
        for p, epoch in epochs.items():
            self._held[p] = Position(epoch, expected.get(p, 0))
        self._skip_nothing(expected)
        self._rejoining_until = 0.0
        log.info("partitions.taken", partitions=[f"{t}/{p}" for t, p in sorted(partitions)], republished=republished)

    def _raise_fences(self, partitions: frozenset[Partition]) -> tuple[dict[Partition, tuple[int, int | None]], Left]:
        """Take partitions: epoch and next offset of each, and what the owner before left in `pending`."""
        with transaction(self._session) as cursor:
            taken = fence.take(cursor, partitions, self.name)
            return taken, select(cursor, SQL["pending_load"], fence.columns(partitions))

    def _republish(self, epochs: fence.Epochs, left: Left) -> int:
        """Publish what was left in `pending` and forget it; how many events."""
        items = [f for _, _, packed in left for f in frames.unpack(packed)]
        if items:
            self._publisher.publish(self._session, epochs, items)
            self._clear(epochs, {(t, p) for t, p, _ in left})
        return len(items)

    def _skip_nothing(self, expected: Mapping[Partition, int]) -> None:
        """Go back where the group's offset is ahead of the fence's: what lies between was never applied."""
        for p, offset in expected.items():
            if self._polled.get(p, self._consumer.position(p)) > offset:
                self._consumer.seek(p, offset)
                self._polled.pop(p, None)

    def _refuse_gaps(self, epochs: fence.Epochs, expected: Mapping[Partition, int]) -> dict[Partition, int]:
        """Raises `LogGap`, unless an operator has confirmed it: then the partition goes on where the log begins."""
        if not expected:
            return {}
        confirmed: dict[Partition, int] = {}
        starts, ends = self._consumer.starts(list(expected)), self._consumer.ends(list(expected))
        for (topic, partition), offset in sorted(expected.items()):
            start, end = starts[topic, partition], ends[topic, partition]
            name = f"{topic}/{partition}@{offset}"
            if start <= offset <= end:
                continue
            if name not in self.confirmed_gaps:
                raise LogGap(
                    f"{topic} partition {partition}: offset {offset} comes next, but the log holds {start} to {end}; "
                    f"records are missing. To go on without them set CAUDAL_CONFIRM_GAPS={name}"
                )
            confirmed[topic, partition] = start
        with transaction(self._session) as cursor:
            fence.restart(cursor, epochs, confirmed)
        return confirmed

    def _cycle(self, entries: Sequence[Entry]) -> None:
        """One batch from transaction to offsets; data that the database refuses is narrowed down to its event."""
        started = time.perf_counter()
        context = self._context()
        try:
            result = self._commit(entries, context)
        except Exception as error:
            if not is_bad_data(error):
                raise
            if len(entries) > 1:
                middle = len(entries) // 2
                self._cycle(entries[:middle])
                self._cycle(entries[middle:])
                return
            log.exception("data.refused", topic=entries[0].record.topic)
            dead = Dead("data_refused", f"{type(error).__name__} {getattr(error, 'pgcode', None) or ''}".strip())
            result = self.batches.refuse(self._session, self._epochs(entries), entries[0], context, dead)
        self._publish(entries, result, started)

    def _commit(self, entries: Sequence[Entry], context: Context) -> Result:
        for attempt in range(CONFLICT_TRIES):
            try:
                return self.batches.run(self._session, self._epochs(entries), entries, context)
            except psycopg2.Error as error:
                if error.pgcode == TOO_SLOW or self._session.closed:  # the server also ends a session that idles
                    self._most = max(1, len(entries) // 2)
                    log.warning("batch.too_slow", records=len(entries), next=self._most, sqlstate=error.pgcode)
                    raise
                conflict = isinstance(error, psycopg2.OperationalError | psycopg2.IntegrityError)
                if is_bad_data(error) or not conflict or attempt == CONFLICT_TRIES - 1:
                    raise
                log.info("batch.conflict", sqlstate=error.pgcode, attempt=attempt + 1)
                time.sleep(0.01 * (attempt + 1))
        raise AssertionError("unreachable")

    def _publish(self, entries: Sequence[Entry], result: Result, started: float) -> None:
        faults, stored = self.batches.faults, time.perf_counter()
        faults.passed("after_db")
        epochs = self._epochs(entries)
        items = [f for p in sorted(result.frames) for f in result.frames[p]]
        faults.passed("before_produce")
        if items:
            self._publisher.publish(self._session, epochs, items)
        faults.passed("after_produce")
        offsets = {(e.record.topic, e.record.partition): e.record.offset + 1 for e in entries}
        for p, offset in offsets.items():
            held = self._held[p]
            held.applied, held.unpublished_text = max(held.applied, offset), bool(result.frames.get(p))
        self._uncommitted |= offsets.keys()
        self._commit_offsets(COMMIT_EVERY_S)
        faults.passed("after_commit")
        self.moved_at, self._most = time.monotonic(), min(self.batch_size, 2 * self._most)
        self._report(entries, result, len(items), stored - started, time.perf_counter() - stored)

    def _commit_offsets(self, every_s: float = 0.0) -> None:
        """Tell the group how far we are, at most so often: what is read again after a crash the inbox knows."""
        if self._uncommitted and time.monotonic() - self._committed_at >= every_s:
            self._consumer.commit({p: self._held[p].applied for p in self._uncommitted & self._held.keys()})
            self._uncommitted.clear()
            self._committed_at = time.monotonic()

    def _report(self, entries: Sequence[Entry], result: Result, emitted: int, db_s: float, produce_s: float) -> None:
        stage = self.batches.service.name
        for outcome, n in result.counts.items():
            metrics.STAGE_RECORDS.labels(stage, outcome).inc(n)
        for reason, n in result.dropped.items():
            metrics.DROPPED.labels(stage, reason).inc(n)
        for reason, n in result.dead.items():
            metrics.DLQ_RECORDS.labels(stage, reason).inc(n)
        metrics.STAGE_DURATION.labels(stage, "db").observe(db_s)
        metrics.STAGE_DURATION.labels(stage, "produce").observe(produce_s)
        metrics.STAGE_LAST.labels(stage).set_to_current_time()
        log.info(
            "batch", records=len(entries), published=emitted, db_ms=round(db_s * 1000, 1),
            produce_ms=round(produce_s * 1000, 1), **result.counts,
        )  # fmt: skip
        self._stop_on_many_dead(entries, result)

    def _stop_on_many_dead(self, entries: Sequence[Entry], result: Result) -> None:
        """Our own topics hold no rubbish: many dead letters in a row mean that this service is broken."""
        foreign = {t.name for t in self.topics if t.foreign}
        for entry in entries:
            if entry.record.topic not in foreign:
                self._dead_in_a_row = self._dead_in_a_row + 1 if entry.place in result.dead_places else 0
        if self._dead_in_a_row >= DEAD_IN_A_ROW:
            place = "{}/{}@{}".format(*entries[-1].place)
            why = f"{self._dead_in_a_row} dead letters in a row from our own topics, see deadletters.v1"
            raise halt.halt(self._session, place, why)

    def _look_around(self) -> None:
        """About once a second: how far are we behind, what do the rule books say."""
        now = time.monotonic()
        if looks := now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            follow(self._session, self.books, self._reader, 0)
            self._count_partitions()
            waiting_for = [p for p, held in self._held.items() if held.asked is None]
            asked_at = self.links.now()
            ends = self._consumer.ends(waiting_for) if waiting_for else {}
            for p, end in ends.items():
                self._held[p].asked = (asked_at, end)
        self._note_applied(passed_over=looks)

    def _note_applied(self, *, passed_over: bool) -> None:
        waiting_for = {p: h.asked for p, h in self._held.items() if h.asked}
        reached = {p: at for p, (at, end) in waiting_for.items() if self._reached(p, end, passed_over)}
        self.behind = reached.keys() != waiting_for.keys()
        if reached:
            with transaction(self._session) as cursor:
                fence.note_applied(cursor, {p: self._held[p].epoch for p in reached}, reached)
            for p in reached:
                self._held[p].asked = None

    def _reached(self, partition: Partition, end: int, passed_over: bool) -> bool:
        """All below is applied. The position counts too: what was polled is applied, what was passed over no record.

        It is asked for once a look: for every batch and partition it costs a tenth of analytics' time.
        """
        return self._held[partition].applied >= end or (passed_over and self._consumer.position(partition) >= end)

    def _relay(self) -> None:
        """Publish what clocks and calls decided, for the slots that fall to our partitions of the first input."""
        first = self.topics[0].name
        mine = [p for t, p in self._held if t == first]
        if not mine or time.monotonic() - self._relayed_at < RELAY_EVERY_S:
            return
        self._relayed_at = time.monotonic()
        epochs = {(first, p): self._held[first, p].epoch for p in mine}
        while True:
            with transaction(self._session) as cursor:
                rows = outbox.read(cursor, mine, self._counts[first])
            if not rows:
                return
            self.batches.faults.passed("outbox.before_produce")
            self._publisher.publish(self._session, epochs, [f for _, f in rows])
            self.batches.faults.passed("outbox.after_produce")
            with transaction(self._session) as cursor:
                fence.advance(cursor, epochs, dict.fromkeys(epochs))
                outbox.done(cursor, [row_id for row_id, _ in rows])
            metrics.OUTBOX_RELAYED.labels(self.batches.service.name).inc(len(rows))

    def _empty_pending(self) -> None:
        """Nothing is on its way: forget the text of what was published, so that a reset of the group sends nothing."""
        done = {p for p, held in self._held.items() if held.unpublished_text}
        if done:
            self._clear({p: self._held[p].epoch for p in done}, done)
            for p in done:
                self._held[p].unpublished_text = False

    def _clear(self, epochs: fence.Epochs, partitions: set[Partition]) -> None:
        with transaction(self._session) as cursor:
            fence.advance(cursor, {p: epochs[p] for p in partitions}, dict.fromkeys(partitions))
            cursor.execute(SQL["pending_replace"], {**fence.columns(partitions), "frames": [b""] * len(partitions)})

    def _publish_orphans(self) -> None:
        """Publish what is left of partitions that exist no more, under their fences."""
        known = fence.columns((t, p) for t, n in self._counts.items() for p in range(n))
        with transaction(self._session) as cursor:
            orphans = frozenset((t, p) for t, p in select(cursor, SQL["pending_orphans"], known))
        if orphans:
            taken, left = self._raise_fences(orphans)
            self._republish({p: epoch for p, (epoch, _) in taken.items()}, left)

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

    def _epochs(self, entries: Sequence[Entry]) -> dict[Partition, int]:
        partitions = {(e.record.topic, e.record.partition) for e in entries}
        return {p: self._held[p].epoch for p in partitions}

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
