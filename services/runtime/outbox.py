"""The outbox: events of clocks and calls on their way to the log (DESIGN §4.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

from services.runtime import fence, frames
from services.runtime.faults import Faults
from services.runtime.fence import SQL, Epochs
from services.runtime.frames import Frame
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.publisher import Publisher
from services.runtime.verdict import Outgoing


def write(cursor: Cursor, events: Sequence[Outgoing]) -> None:
    """Keep events in the transaction of the work that caused them."""
    write_frames(cursor, [frames.frame(event, None) for event in events])


def write_frames(cursor: Cursor, items: Sequence[Frame]) -> None:
    """Keep frames; those of one key stay in order."""
    if items:
        cursor.execute(SQL["outbox_write"], {
            "slots": [crc32(f.key or b"") & 0x7FFFFFFF for f in items], "frames": [frames.dump([f]) for f in items],
        })  # fmt: skip


def relay(session: Session, publisher: Publisher, faults: Faults, epochs: Epochs, count: int) -> Iterator[int]:
    """Publish what clocks and calls decided, for the slots of these partitions of `count`; how many events at a time.

    `epochs`: of the partitions of the service's first input that the worker holds. Raises `Fenced`, `Unavailable`.
    """
    partitions = [p for _, p in epochs]
    while True:
        with transaction(session) as cursor:
            rows = _read(cursor, partitions, count)
        if not rows:
            return
        faults.passed("outbox.before_produce")
        publisher.publish(session, epochs, [f for _, f in rows])
        faults.passed("outbox.after_produce")
        with transaction(session) as cursor:
            fence.advance(cursor, epochs, dict.fromkeys(epochs))
            cursor.execute(SQL["outbox_done"], {"ids": [row_id for row_id, _ in rows]})
        yield len(rows)


def _read(cursor: Cursor, partitions: Sequence[int], count: int, limit: int = 500) -> list[tuple[int, Frame]]:
    """Next events whose slot falls to these of `count` partitions."""
    rows = select(cursor, SQL["outbox_read"], {"partitions": list(partitions), "count": count, "limit": limit})
    return [(row_id, frames.load(text)[0]) for row_id, text in rows]
