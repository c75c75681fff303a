"""Dead letters: a record that no handler could take, as it came (DESIGN §4.6)."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import sha256

from schemas.events.event import derived_id
from schemas.events.operations import DeadLetter
from schemas.topics import DEADLETTERS, MAX_RECORD_BYTES
from services.runtime.decode import Entry
from services.runtime.frames import Frame
from services.runtime.transport import Record
from services.runtime.verdict import Dead

KEPT_BYTES = 65_536
KEPT_KEY_BYTES = 1024


def dead_letter(service: str, entry: Entry, dead: Dead, now: datetime) -> Frame:
    """The dead letter of an entry. Its id follows from the inbox id and the repair number: the same fault, once."""
    record, event = entry.record, entry.incoming
    size = len(record.key or b"") + len(record.value or b"")
    truncated = size > MAX_RECORD_BYTES * 5 // 4
    letter = DeadLetter(
        service=service, reason=dead.reason, detail=dead.detail[:2000],
        topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp_ms,
        event_id=event.id[:200] if event else None, event_type=event.type[:200] if event else None,
        attempt=entry.repair + 1, recorded_at=now,
        raw_key=_base64(record.key, KEPT_BYTES if truncated else None),
        raw_value=_base64(record.value, KEPT_BYTES if truncated else None),
        headers=_headers(record), sha256=sha256((record.key or b"") + (record.value or b"")).hexdigest(),
        truncated=truncated,
    )  # fmt: skip
    event_id = derived_id(entry.inbox_id, f"dead.{service}", entry.repair)
    key = (record.key or b"")[:KEPT_KEY_BYTES] or None
    return Frame(
        DEADLETTERS.name, key, 0, event_id, "deadletter.recorded", "", letter.model_dump_json(exclude_none=True)
    )


def _headers(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple((name[:200], base64.b64encode(value[:4096]).decode()) for name, value in list(record.headers)[:50])


def _base64(raw: bytes | None, limit: int | None) -> str | None:
    return None if raw is None else base64.b64encode(raw[:limit]).decode()
