"""The invariants. Each is one query of a family's SQL file: its name, one sentence, and the ids that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.cli.verification.report import Report
from services.cli.verification.tables import schema_of
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.service import Service

FAMILIES = ("submissions", "versions", "causes", "owners", "assignments", "touches", "aggregates")
OF_ONE = {"notices": "intake"}
"""Families about the tables of one service, which must have run."""
PER_SERVICE = "inboxes"
GAPS = frozenset(("version_gap", "assignment_number_gap"))
"""What is missing on the log may have left it: then it stands in what analytics kept."""
NO_RULES = frozenset(("mails", "said"))
"""Queries in these files that read something for a rule written in Python."""


def queries(family: str) -> Iterator[tuple[str, str, str]]:
    """Name, sentence and SQL of a family's rules."""
    for name, sql in load_queries("services.cli.verification", f"{family}.sql").items():
        if name not in NO_RULES:
            yield name, sql.splitlines()[0].removeprefix("-- "), sql


def check(
    cursor: Cursor, services: Sequence[Service], known: Mapping[str, Any], recall: Callable[[], None], report: Report
) -> None:
    """Run every query, and note what it finds. `recall` adds what analytics kept of events that have left the log."""
    for name, text, sql in queries(PER_SERVICE):
        found: list[str] = []
        for service in services:
            with schema_of(cursor, service.name):
                found += _ids(cursor, sql, {**known, "service": service.name})
        report.add(name, text, found)
    running = {service.name for service in services}
    for family in (*FAMILIES, *(family for family, service in OF_ONE.items() if service in running)):
        for name, text, sql in queries(family):
            found = _ids(cursor, sql, known)
            if found and name in GAPS:
                recall()
                found = _ids(cursor, sql, known)
            report.add(name, text, found)


def _ids(cursor: Cursor, sql: str, known: Mapping[str, Any]) -> list[str]:
    return sorted(row[0] for row in select(cursor, sql, known))
