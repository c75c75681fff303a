"""What a batch has to publish, kept from its transaction until it is known to be published (DESIGN §4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from services.runtime import fence, frames
from services.runtime.fence import SQL, Epochs
from services.runtime.frames import Frame
from services.runtime.holding import Holding
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.transport import Partition


def replace(cursor: Cursor, partitions: Iterable[Partition], items: Mapping[Partition, Sequence[Frame]]) -> None:
    """Put a batch's frames in place of those of the batch before, which is known to be published."""
    ordered = sorted(partitions)
    packed = [frames.pack(items.get(p, ())) for p in ordered]
    cursor.execute(SQL["pending_replace"], {**fence.columns(ordered), "frames": packed})


def load(cursor: Cursor, partitions: Iterable[Partition]) -> dict[Partition, list[Frame]]:
    """What these partitions' last batches had to publish, where that may not have happened."""
    rows = select(cursor, SQL["pending_load"], fence.columns(partitions))
    return {(topic, partition): frames.unpack(packed) for topic, partition, packed in rows}


def clear(session: Session, epochs: Epochs) -> None:
    """Forget what was published, so that a reset of the group sends nothing. Raises `Fenced`."""
    with transaction(session) as cursor:
        fence.advance(cursor, epochs, dict.fromkeys(epochs))
        replace(cursor, epochs, {})


def clear_idle(session: Session, holding: Holding) -> None:
    """Nothing is on its way: clear where text of what was published is left. Raises `Fenced`."""
    done = {p: held for p, held in holding.items() if held.unpublished_text}
    if done:
        clear(session, {p: held.epoch for p, held in done.items()})
        for held in done.values():
            held.unpublished_text = False


def orphans(cursor: Cursor, counts: Mapping[str, int]) -> frozenset[Partition]:
    """Partitions that exist no more, with something to publish."""
    known = fence.columns((t, p) for t, n in counts.items() for p in range(n))
    return frozenset((t, p) for t, p in select(cursor, SQL["pending_orphans"], known))
