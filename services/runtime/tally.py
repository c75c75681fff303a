"""What a batch came to, as metrics and one log line; and whether a service had better stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from schemas.topics import Topic
from services.runtime import halt, metrics
from services.runtime.batch import Result
from services.runtime.decode import Entry
from services.runtime.postgres import Session

log = structlog.get_logger()
DEAD_IN_A_ROW = 200


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a batch went, in seconds."""

    db_s: float
    produce_s: float


def report(service: str, records: int, emitted: int, result: Result, spent: Spent) -> None:
    """Count the batch, and log its one line."""
    for outcome, n in result.counts.items():
        metrics.STAGE_RECORDS.labels(service, outcome).inc(n)
    for reason, n in result.dropped.items():
        metrics.DROPPED.labels(service, reason).inc(n)
    for reason, n in result.dead.items():
        metrics.DLQ_RECORDS.labels(service, reason).inc(n)
    metrics.STAGE_DURATION.labels(service, "db").observe(spent.db_s)
    metrics.STAGE_DURATION.labels(service, "produce").observe(spent.produce_s)
    metrics.STAGE_LAST.labels(service).set_to_current_time()
    log.info(
        "batch", records=records, published=emitted, db_ms=round(spent.db_s * 1000, 1),
        produce_ms=round(spent.produce_s * 1000, 1), **result.counts,
    )  # fmt: skip


@dataclass(slots=True)
class DeadInARow:
    """Our own topics hold no rubbish: many dead letters in a row mean that this service is broken."""

    count: int = 0

    def note(self, session: Session, topics: Iterable[Topic], entries: Sequence[Entry], result: Result) -> None:
        """Take a batch in. Raises `Halted` once there are too many."""
        foreign = {t.name for t in topics if t.foreign}
        for entry in entries:
            if entry.record.topic not in foreign:
                self.count = self.count + 1 if entry.place in result.dead_places else 0
        if self.count >= DEAD_IN_A_ROW:
            place = "{}/{}@{}".format(*entries[-1].place)
            why = f"{self.count} dead letters in a row from our own topics, see deadletters.v1"
            raise halt.halt(session, place, why)
