"""Dead letters: how many records no service could take and why, and the records themselves for repair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.analytics.reports.funnel import SQL
from services.analytics.reports.question import Question
from services.runtime.postgres import Cursor, select


@dataclass(frozen=True, slots=True)
class DeadLettersRow:
    """Dead letters of one service, topic and reason. `detail` is that of the latest."""

    service: str
    topic: str
    reason: str
    waiting: int
    repaired: int
    first_at: datetime
    last_at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """One record as it came, kept 90 days. `raw_*` and values of headers are base64; `truncated`: first 64 kB only."""

    id: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    recorded_at: datetime
    event_id: str | None
    event_type: str | None
    attempt: int
    headers: tuple[tuple[str, str], ...]
    raw_key: str | None
    raw_value: str | None
    sha256: str
    truncated: bool
    resolved_at: datetime | None


def deadletters(cursor: Cursor, question: Question) -> Sequence[DeadLettersRow]:
    """Dead letters recorded in the period, by service, topic and reason, most first. Other filters do not apply."""
    return [DeadLettersRow(*row) for row in select(cursor, SQL["deadletters"], question.parameters())]


def dead_records(
    cursor: Cursor, *, service: str | None = None, topic: str | None = None, reason: str | None = None,
    limit: int = 1000,
) -> Sequence[DeadRecord]:  # fmt: skip
    """Dead letters not yet repaired that match, in the order of their topic, partition and offset."""
    wanted = {"service": service, "topic": topic, "reason": reason, "limit": limit}
    return [_record(row) for row in select(cursor, SQL["dead_records"], wanted)]


def resolve(cursor: Cursor, ids: Sequence[str], now: datetime) -> int:
    """Note that these were sent in again; how many were still waiting for it."""
    cursor.execute(SQL["resolve"], {"ids": list(ids), "now": now})
    return cursor.rowcount


def _record(row: tuple[Any, ...]) -> DeadRecord:
    columns = list(row)
    columns[11] = tuple((name, value) for name, value in json.loads(row[11]))
    return DeadRecord(*columns)
