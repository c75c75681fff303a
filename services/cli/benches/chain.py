"""The whole chain as the drain of a preloaded topic: leads per second, and CPU per lead by process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import islice

import psycopg2

from schemas.topics import LEADS_QUALIFIED
from services.cli import books, load
from services.cli.benches.stand import Stand, stand
from services.cli.installation import installation_secret
from services.cli.up import WORKERS, prepare
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.transport import Message

CHUNK = 2000
ROOM = 10_000_000


def chain(leads: int, seconds: float = 900.0) -> dict[str, object]:
    """Drain `leads` submissions of different people through qualify, router, nurture and analytics."""
    with stand() as here:
        prepare(here.parts)
        make_room(here.parts.kafka)
        preload(here.parts.kafka, load.messages(leads, installation_secret(here.home), "bench"))
        before = here.cpu()
        here.start(*WORKERS)
        began = here.until(lambda: _any_qualified(here), 120, "the first lead is qualified", 0.02)
        ended = here.until(lambda: counted(here) >= leads, seconds, f"{leads} leads are assigned and counted", 0.2)
        after = here.cpu()
    split = {name: (after[name] - before.get(name, 0.0)) / leads * 1000 for name in after}
    return {
        "leads": leads,
        "seconds": round(ended - began, 2),
        "leads_per_s": round(leads / (ended - began), 1),
        "cpu_ms_per_lead": round(sum(split.values()), 4),
        "cpu_ms_by_process": {name: round(ms, 4) for name, ms in sorted(split.items())},
        "cores": os.cpu_count(),
    }


def make_room(servers: str) -> None:
    """Reps that can take every lead: the figure is of leads that are assigned, not of leads that are parked."""
    body = re.sub(r"capacity: \d+", f"capacity: {ROOM}", books.default_body("routing"))
    books.publish(servers, "routing", body, "caudal bench", "room for every lead")


def preload(servers: str, messages: Iterable[Message]) -> None:
    """Write records before anybody reads them."""
    producer, rest = LogProducer(servers, "caudal-bench"), iter(messages)
    try:
        while chunk := list(islice(rest, CHUNK)):
            producer.publish(chunk, lambda: True)
    finally:
        producer.close()


def _any_qualified(here: Stand) -> bool:
    reader = Reader(here.parts.kafka, [LEADS_QUALIFIED.name])
    try:
        return any(reader.ends().values())
    finally:
        reader.close()


def counted(here: Stand) -> int:
    """Leads that analytics has counted as assigned."""
    session = psycopg2.connect(here.parts.postgres, options="-c search_path=analytics")
    try:
        with session.cursor() as cursor:
            cursor.execute("SELECT coalesce(sum(assigned), 0) FROM funnel")
            row = cursor.fetchone()
    finally:
        session.close()
    return int(row[0]) if row else 0
