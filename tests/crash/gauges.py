"""What a run reads off the stand: how far each service is, who waits for a lock, what was published, sent, counted."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.errors

from schemas.topics import all_topics
from services.cli.up import WORKERS
from services.runtime.errors import Unavailable
from services.runtime.kafka.reader import Reader
from services.runtime.transport import Partition
from tests.crash.harness import Stand

QUIET_S = 8.0
"""Longer than any wait in the books of a run, so that what did not move for so long has nothing left to do."""
DONE = {service: f"SELECT topic, partition, coalesce(next_offset, 0) FROM {service}.fence" for service in WORKERS}
LONGEST_WAIT = """SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name LIKE 'caudal-%'"""
OPEN_STEPS = "SELECT count(*) FROM nurture.step WHERE act_at IS NOT NULL"
TOPICS = [topic.name for topic in all_topics((), ("crm",))]


def rows(stand: Stand, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query; psycopg2.OperationalError while the database is away."""
    session = psycopg2.connect(stand.here.postgres, connect_timeout=2)
    try:
        with session.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        session.close()


def done(stand: Stand) -> dict[str, dict[Partition, int]]:
    """Offset that each service applies next, by partition."""
    return {service: {(t, p): offset for t, p, offset in rows(stand, sql)} for service, sql in DONE.items()}


def progress(stand: Stand) -> dict[str, int]:
    """Records that each service has applied; nothing while the database is away or has no tables yet."""
    with suppress(psycopg2.OperationalError, psycopg2.errors.UndefinedTable):
        return {service: sum(offsets.values()) for service, offsets in done(stand).items()}
    return {}


def ends(stand: Stand) -> Mapping[Partition, int]:
    """End offset of every partition of every topic of ours; nothing while the broker is away."""
    with suppress(Unavailable):
        reader = Reader(stand.here.kafka, TOPICS)
        try:
            return reader.ends()
        finally:
            reader.close()
    return {}


def all_move(stand: Stand, seconds: float, after: str) -> None:
    """Every service must apply more than it has now, within so many seconds."""
    before = progress(stand)

    def moved() -> bool:
        now = progress(stand)
        return bool(now) and all(now[service] > before.get(service, 0) for service in now)

    stand.until(moved, seconds, f"every service goes on after {after}")


def quiet(stand: Stand, seconds: float) -> bool:
    """Wait until everything written is applied and nothing was written for a while."""
    seen: dict[Partition, int] = {}
    since = time.monotonic()

    def still() -> bool:
        nonlocal since
        now = dict(ends(stand))
        applied = done(stand)
        behind = any(offset < now.get(place, 0) for offsets in applied.values() for place, offset in offsets.items())
        if now != seen or behind or rows(stand, OPEN_STEPS)[0][0]:
            seen.clear()
            seen.update(now)
            since = time.monotonic()
        stand.rest(0.5)
        return time.monotonic() - since > QUIET_S

    return stand.until(still, seconds, "everything is applied")


def mails(stand: Stand) -> dict[str, int]:
    """Mails that the mail server took, and their different Message-IDs."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stand.here.ports.mailbox}/count", timeout=5) as answer:
        return dict(json.load(answer))


def effects(stand: Stand) -> dict[str, Any]:
    """Everything that a replay must leave as it is: ends of topics, mails taken, facts counted."""
    facts = rows(stand, "SELECT count(*) FROM analytics.inbox")[0][0]
    return {"mails": mails(stand)["mails"], "facts": facts} | {f"{t}/{p}": end for (t, p), end in ends(stand).items()}


class Waits:
    """The longest wait for a lock, and the longest time without progress of each service, while it is asked."""

    def __init__(self) -> None:
        self.lock_s = 0.0
        self.still_s = dict.fromkeys(WORKERS, 0.0)
        self._moved = {service: (0, time.monotonic()) for service in WORKERS}

    def look(self, stand: Stand) -> None:
        """Take one reading."""
        self.lock_s = max(self.lock_s, float(rows(stand, LONGEST_WAIT)[0][0]))
        for service, count in progress(stand).items():
            before, since = self._moved[service]
            if count != before:
                self._moved[service] = (count, time.monotonic())
            self.still_s[service] = max(self.still_s[service], time.monotonic() - since)
