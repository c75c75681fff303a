"""Events about an id that is not known yet (DESIGN §4.6): kept until it is, or until their time is over."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.runtime.decode import Decoder, Entry
from services.runtime.fence import SQL
from services.runtime.postgres import Cursor, select
from services.runtime.transport import Record

PATIENCE = timedelta(hours=24)
Row = tuple[object, ...]


def any_kept(cursor: Cursor) -> bool:
    """Whether any event waits at all."""
    return bool(select(cursor, SQL["waiting_any"])[0][0])


def load(cursor: Cursor, decoder: Decoder, keys: Sequence[str], *, lock: bool) -> dict[str, list[Entry]]:
    """Waiting entries by key, oldest first; `lock` keeps the end of their patience away."""
    found: dict[str, list[Entry]] = {}
    for row in select(cursor, SQL["waiting_load"] + " FOR UPDATE" * lock, {"keys": sorted(set(keys))}):
        entry = _entry(decoder, row)
        if entry.incoming:
            found.setdefault(row[2], []).append(entry)
    return found


def keep(cursor: Cursor, entries: Mapping[str, Sequence[Entry]], now: datetime) -> None:
    """Keep entries under the key that each waits for."""
    rows = [(key, entry) for key, waiting in entries.items() for entry in waiting]
    if rows:
        cursor.execute(SQL["waiting_keep"], {
            "ids": [e.inbox_id for _, e in rows], "days": [e.day for _, e in rows], "keys": [k for k, _ in rows],
            "due": [now + PATIENCE] * len(rows), "topics": [e.record.topic for _, e in rows],
            "partitions": [e.record.partition for _, e in rows], "offsets": [e.record.offset for _, e in rows],
            "timestamps": [e.record.timestamp_ms for _, e in rows], "record_keys": [e.record.key for _, e in rows],
            "values": [e.record.value for _, e in rows], "headers": [_dump(e.record) for _, e in rows],
        })  # fmt: skip


def forget(cursor: Cursor, entries: Sequence[Entry]) -> None:
    """These wait no more."""
    if entries:
        cursor.execute(SQL["waiting_forget"], {"ids": [e.inbox_id for e in entries], "days": [e.day for e in entries]})


def overdue(cursor: Cursor, now: datetime) -> list[Row]:
    """Claim rows that waited too long, as they are."""
    return select(cursor, SQL["waiting_overdue"], {"now": now})


def put_off(cursor: Cursor, row: Row, until: datetime) -> None:
    """Let one wait longer."""
    cursor.execute(SQL["waiting_put_off"], {"id": row[0], "day": row[1], "until": until})


def entries(decoder: Decoder, rows: Sequence[Row]) -> list[Entry]:
    """What the rows keep."""
    return [_entry(decoder, row) for row in rows]


def _entry(decoder: Decoder, row: Row) -> Entry:
    """As it was read; without its event where the topic is read no more or the event is understood no more."""
    inbox_id, day, _, topic, partition, offset, timestamp_ms, key, value, headers = row
    pairs = [(name, base64.b64decode(text)) for name, text in json.loads(str(headers))]
    record = Record(
        str(topic), int(str(partition)), int(str(offset)), int(str(timestamp_ms)), _bytes(key), _bytes(value), pairs
    )
    if topic not in decoder.topics:
        return Entry(record, str(inbox_id), day, None)  # type: ignore[arg-type]  # a date
    entry = decoder.entry(record)
    entry.inbox_id, entry.day = str(inbox_id), day  # type: ignore[assignment]  # as kept: a newer decoder may differ
    return entry


def _bytes(column: object) -> bytes | None:
    return bytes(column) if isinstance(column, memoryview | bytes) else None


def _dump(record: Record) -> str:
    return json.dumps([(name, base64.b64encode(value).decode()) for name, value in record.headers])
