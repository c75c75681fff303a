"""`verify`: the senders' ledger, the log from offset 0 and every service's tables must agree (DESIGN §7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from schemas.topics import LEADS_ASSIGNED, LEADS_QUALIFIED, PEOPLE_CHANGED, PEOPLE_CONSENTS, Topic
from services.analytics import recount
from services.cli import books
from services.cli.installation import Installation
from services.cli.sending import acknowledged
from services.cli.verification import compacted, log, rules, tables, touches
from services.cli.verification.quiet import until_quiet
from services.cli.verification.report import Report
from services.cli.verification.rows import Rows
from services.cli.verification.workers import carrying_state, group, told_by, topics, workers
from services.runtime.kafka.groups import group_offsets
from services.runtime.postgres import Cursor, connect, select
from services.runtime.service import Service
from services.runtime.transport import Partition, Record

Repair = Callable[[Sequence[compacted.Stale]], Sequence[compacted.Stale]]
STATE_TOPICS = (LEADS_QUALIFIED, PEOPLE_CHANGED, LEADS_ASSIGNED, PEOPLE_CONSENTS)
SPAN_MS = 86_400_000 * (LEADS_QUALIFIED.retention_days or 0)
"""Causes are looked for in events younger than the time for which event topics are kept."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands outside of the tables. `records` is read once, after the snapshot; `committed` was asked before."""

    acknowledged: Collection[str]
    committed: Mapping[str, Mapping[Partition, int]]
    records: Iterable[Record]
    books: Sequence[books.Entry]
    topics: Sequence[Topic]


def verify(here: Installation, *, wait: bool, repair: bool = False, timeout_s: float = 120) -> Report:
    """Compare everything; with `wait` once nothing is on its way any more, with `repair` after mending stale keys.

    It may run beside a system at work: what is younger than its snapshot is not judged. But an event that is just then
    between its table and the log may show; `wait` rules that out. Raises `CaudalError` and psycopg2 errors.
    """
    services, report = workers(here), Report()
    if wait:
        lagging = until_quiet(here.kafka, here.postgres, services, timeout_s)
        report.add("not_quiet", f"still on its way after {timeout_s:.0f} s", lagging)
    mend = partial(compacted.repair, here.kafka, here.postgres, services) if repair else None
    catalogue = topics()
    evidence = Evidence(
        acknowledged=acknowledged(here.ledger),
        committed={service.name: group_offsets(here.kafka, group(service)) for service in services},
        records=log.whole(here.kafka, [topic.name for topic in catalogue]),
        books=list(books.history(here.kafka)),
        topics=catalogue,
    )
    return examine(here.postgres, services, evidence, report, mend)


def examine(
    dsn: str, services: Sequence[Service], evidence: Evidence, report: Report, mend: Repair | None = None
) -> Report:
    """Load the evidence beside a snapshot of the tables, run every rule, and note figures and violations."""
    began = time.monotonic()
    with tables.snapshot(dsn) as (cursor, taken_ms):
        records = _load(cursor, services, evidence)
        known = {
            "told": told_by(services, evidence.topics), "writers": [f"caudal/{s.name}" for s in services],
            "state": carrying_state(services), "taken_ms": taken_ms, "since_ms": taken_ms - SPAN_MS,
        }  # fmt: skip
        rules.check(cursor, services, known, lambda: log.recall(cursor, Rows(cursor), STATE_TOPICS), report)
        report.add(touches.RULE, touches.TEXT, touches.unwanted(cursor, evidence.books))
        found = compacted.stale(cursor, services, taken_ms)
        mended = mend(found) if mend else ()
        report.add(compacted.RULE, compacted.TEXT, (f"{s.topic} {s.key}" for s in found if s not in mended))
        report.figures |= _figures(cursor) | {"records": records, "repaired": len(mended)}
    _recount(dsn, report)
    report.figures["seconds"] = round(time.monotonic() - began)
    return report


def _load(cursor: Cursor, services: Sequence[Service], evidence: Evidence) -> int:
    rows = Rows(cursor)
    tables.note_readers(cursor, rows, services, evidence.committed)
    tables.note_states(cursor, rows, services)
    tables.note_ledger(rows, evidence.acknowledged)
    tables.note_capacities(rows, evidence.books)
    count = log.load(rows, evidence.records, evidence.topics)
    cursor.execute(tables.SQL["analyze"])
    return count


def _figures(cursor: Cursor) -> dict[str, int]:
    row = select(cursor, tables.SQL["figures"])[0]
    return {column.name: value for column, value in zip(cursor.description or (), row, strict=True)}


def _recount(dsn: str, report: Report) -> None:
    with closing(connect(dsn, "analytics", "caudal-verify", limits=False)) as session:
        differences = recount.differences(session)
    report.add(
        "aggregate_differs", "an aggregate is not what its rows add up to",
        (f"{d.table} {' '.join(map(str, d.key))}: {d.kept}, recount {d.recounted}" for d in differences))  # fmt: skip
