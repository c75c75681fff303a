"""The last record of each key on a compacted topic must be the state in the table (DESIGN §4.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from services.runtime import frames
from services.runtime.frames import Frame
from services.runtime.kafka.producer import LogProducer
from services.runtime.postgres import Cursor, connect, load_queries, select, transaction
from services.runtime.service import Service

RULE = "compacted_stale"
TEXT = "the last record of a key on a compacted topic is not the state in the table"
SQL = load_queries("services.cli.verification", "compacted.sql")


class Stale(NamedTuple):
    """A key whose last record, of this version, is not the state in the table."""

    topic: str
    key: str
    version: int
    table_ahead: bool


def stale(cursor: Cursor, services: Sequence[Service], taken_ms: int) -> list[Stale]:
    """Keys that end stale, over all compacted topics that these services write."""
    compacted = [topic for service in services for topic in service.published]
    rows = select(cursor, SQL["stale"], {"compacted": compacted, "taken_ms": taken_ms})
    return sorted(Stale(*row) for row in rows)


def repair(servers: str, dsn: str, services: Sequence[Service], found: Sequence[Stale]) -> list[Stale]:
    """Write the current state of keys whose table is ahead, which a worker killed in that moment leaves; those mended.

    Safe beside running workers: it is the same event with the same bytes, and it is written until no table is ahead.
    """
    mended: list[Stale] = []
    for service in services:
        for topic in service.published:
            mine = [s for s in found if s.topic == topic and s.table_ahead]
            if mine:
                _write(servers, dsn, service, topic, {s.key: s.version for s in mine})
                mended += mine
    return mended


def _write(servers: str, dsn: str, service: Service, topic: str, versions: Mapping[str, int]) -> None:
    on_log = dict(versions)
    with (
        closing(LogProducer(servers, "caudal-verify")) as producer,
        closing(connect(dsn, service.name, "caudal-verify", limits=False)) as session,
    ):
        while True:
            with transaction(session) as cursor:
                ahead = service.published[topic](cursor, on_log)
            if not ahead:
                return
            states = [Frame(topic, p.key.encode(), p.version, p.id, p.type, "", p.value) for p in ahead]
            producer.publish([frames.message(f, f"caudal/{service.name}") for f in states], lambda: True)
            on_log |= {p.key: p.version for p in ahead}
