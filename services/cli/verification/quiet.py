"""Waits until nothing is on its way: every input read to its end, every decision published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from services.cli.verification.tables import SQL, fences, schema_of
from services.cli.verification.workers import group
from services.runtime.kafka.groups import group_offsets
from services.runtime.kafka.reader import Reader
from services.runtime.postgres import Cursor, Session, connect, select, transaction
from services.runtime.service import Service
from services.runtime.transport import Partition

LOOK_EVERY_S = 0.25


def until_quiet(servers: str, dsn: str, services: Sequence[Service], timeout_s: float) -> list[str]:
    """Wait; what lags, outboxes included, where it did not end within the time. Nothing: all is quiet."""
    deadline = time.monotonic() + timeout_s
    session = connect(dsn, "public", "caudal-verify", limits=False)
    reader = Reader(servers, sorted({topic.name for service in services for topic in service.inputs}))
    try:
        while lagging := _lagging(servers, session, reader, services):
            if time.monotonic() > deadline:
                return lagging
            time.sleep(LOOK_EVERY_S)
        return []
    finally:
        reader.close()
        session.close()


def _lagging(servers: str, session: Session, reader: Reader, services: Sequence[Service]) -> list[str]:
    """What is behind. The ends are asked before and after: a batch published in between starts it all again."""
    ends = reader.ends()
    with transaction(session) as cursor:
        found = [text for service in services for text in _behind(servers, cursor, service, ends)]
    return found or (["topics that grow"] if reader.ends() != ends else [])


def _behind(servers: str, cursor: Cursor, service: Service, ends: Mapping[Partition, int]) -> list[str]:
    said, fenced = group_offsets(servers, group(service)), fences(cursor, service)
    inputs = {topic.name for topic in service.inputs}
    lag = sum(max(0, end - max(said.get(p, 0), fenced.get(p) or 0)) for p, end in ends.items() if p[0] in inputs)
    with schema_of(cursor, service.name):
        unpublished = select(cursor, SQL["unpublished"])
    texts = [f"group {group(service)} is {lag} records behind"] if lag else []
    return texts + [f"{what} of {service.name} holds {count}" for what, count in unpublished if count]
