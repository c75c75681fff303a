"""The clock that every service has: the end of events that waited too long for their id (DESIGN §4.6).

They become dead letters, but for those of strangers: a page view of somebody who never leaves an address is no fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from services.runtime import metrics, outbox, waiting
from services.runtime.dead import dead_letter
from services.runtime.decode import Decoder
from services.runtime.inbox import Inbox
from services.runtime.postgres import Cursor
from services.runtime.service import DueRows, Service
from services.runtime.verdict import Context, Dead, Outgoing

EVERY = timedelta(seconds=30)
NOBODY = "nobody"
UNKNOWN = Dead("unknown_id", "the id that this event is about did not become known within 24 h")


def patience(service: Service, decoder: Decoder) -> DueRows:
    """The clock of one service."""

    def claim(cursor: Cursor, context: Context) -> Sequence[Any]:
        until = context.applied_until
        return waiting.overdue(cursor, min(context.now, until)) if until else ()

    def end(cursor: Cursor, rows: Sequence[Any], context: Context) -> Sequence[Outgoing]:
        late = waiting.entries(decoder, rows)
        dead = [entry for entry in late if entry.record.topic not in service.of_strangers]
        outbox.write_frames(cursor, [dead_letter(service.name, entry, UNKNOWN, context.now) for entry in dead])
        states = {(e.inbox_id, e.day): ("dropped", NOBODY) for e in late}
        states |= {(e.inbox_id, e.day): ("dead", UNKNOWN.reason) for e in dead}
        Inbox(keep_data=False).settle(cursor, states)
        waiting.forget(cursor, late)
        metrics.DLQ_RECORDS.labels(service.name, UNKNOWN.reason).inc(len(dead))
        metrics.DROPPED.labels(service.name, NOBODY).inc(len(late) - len(dead))
        return ()

    return DueRows("waiting", EVERY, claim, end, waiting.put_off)
