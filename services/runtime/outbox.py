"""The outbox: events of clocks and calls on their way to the log (DESIGN §4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from services.runtime import frames
from services.runtime.fence import SQL
from services.runtime.frames import Frame
from services.runtime.postgres import Cursor, select
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


def read(cursor: Cursor, partitions: Sequence[int], count: int, limit: int = 500) -> list[tuple[int, Frame]]:
    """Next events whose slot falls to these of `count` partitions."""
    rows = select(cursor, SQL["outbox_read"], {"partitions": list(partitions), "count": count, "limit": limit})
    return [(row_id, frames.load(text)[0]) for row_id, text in rows]


def done(cursor: Cursor, ids: Sequence[int]) -> None:
    """Forget events that are published."""
    cursor.execute(SQL["outbox_done"], {"ids": list(ids)})
