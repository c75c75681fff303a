"""The outbox: events of clocks and calls on their way to the log (DESIGN §4.7)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from services.runtime import fence, frames, metrics
from services.runtime.faults import Faults
from services.runtime.fence import SQL, Epochs
from services.runtime.frames import Frame
from services.runtime.holding import Holding, epochs
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.publisher import Publisher
from services.runtime.service import Service
from services.runtime.verdict import Outgoing

RELAY_EVERY_S = 0.1


def write(cursor: Cursor, events: Sequence[Outgoing]) -> None:
    """Keep events in the transaction of the work that caused them."""
    write_frames(cursor, [frames.frame(event, None) for event in events])


def write_frames(cursor: Cursor, items: Sequence[Frame]) -> None:
    """Keep frames; those of one key stay in order."""
    if items:
        cursor.execute(SQL["outbox_write"], {
            "slots": [crc32(f.key or b"") & 0x7FFFFFFF for f in items], "frames": [frames.dump([f]) for f in items],
        })  # fmt: skip


@dataclass(slots=True)
class Relay:
    """Publishes what clocks and calls decided, for the slots of those partitions of the first input that are held."""

    service: Service
    faults: Faults
    _at: float = 0.0

    def run(self, session: Session, publisher: Publisher, holding: Holding, counts: Mapping[str, int]) -> None:
        """Empty the outbox of our slots, at most so often. Raises `Fenced`, `Unavailable`."""
        first = self.service.inputs[0].name
        ours = epochs(holding, [p for p in holding if p[0] == first])
        if ours and time.monotonic() - self._at >= RELAY_EVERY_S:
            self._at = time.monotonic()
            while n := self._next(session, publisher, ours, counts[first]):
                metrics.OUTBOX_RELAYED.labels(self.service.name).inc(n)

    def _next(self, session: Session, publisher: Publisher, ours: Epochs, count: int) -> int:
        """Publish some, under the fences of these partitions of `count`; how many."""
        with transaction(session) as cursor:
            rows = _read(cursor, [p for _, p in ours], count)
        if rows:
            self.faults.passed("outbox.before_produce")
            publisher.publish(session, ours, [f for _, f in rows])
            self.faults.passed("outbox.after_produce")
            with transaction(session) as cursor:
                fence.advance(cursor, ours, dict.fromkeys(ours))
                cursor.execute(SQL["outbox_done"], {"ids": [row_id for row_id, _ in rows]})
        return len(rows)


def _read(cursor: Cursor, partitions: Sequence[int], count: int, limit: int = 500) -> list[tuple[int, Frame]]:
    """Next events whose slot falls to these of `count` partitions."""
    rows = select(cursor, SQL["outbox_read"], {"partitions": list(partitions), "count": count, "limit": limit})
    return [(row_id, frames.load(text)[0]) for row_id, text in rows]
