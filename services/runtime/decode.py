"""From a record to what the engine works with: an event, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from schemas import codec
from schemas.topics import Topic
from services.runtime.transport import Record
from services.runtime.verdict import Dead, Incoming

FOR_EVER = date(1970, 1, 1)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
"""Days that may have a partition of their own; an event that claims another is remembered for ever."""


@dataclass(slots=True)  # not frozen: built for every record, and a frozen one costs three times as much
class Entry:
    """One record of a batch: `incoming` where it is an event, `dead` where it is not or must not be handled."""

    record: Record
    inbox_id: str
    day: date
    incoming: Incoming | None
    dead: Dead | None = None
    repair: int = 0
    body_hash: str | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset: the record's own name."""
        return (self.record.topic, self.record.partition, self.record.offset)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Reads the records of a service's inputs. Ids of the topics in `for_ever` are never forgotten."""

    topics: Mapping[str, Topic]
    for_ever: frozenset[str]

    def entry(self, record: Record) -> Entry:
        """The record as an entry; never raises for what it holds."""
        topic = self.topics[record.topic]
        day = codec.utc_day(record.timestamp_ms)
        try:
            envelope = codec.read(topic, record.key, record.value, record.headers, day)
        except codec.Unreadable as fault:
            unreadable = codec.unreadable_id(topic, record.key, record.value, record.headers, day)
            return Entry(record, unreadable, FOR_EVER, None, Dead(fault.reason, fault.detail), _repair(record))
        inbox_id = codec.inbox_id(topic, envelope.source, envelope.id)
        incoming = Incoming(
            envelope.id, envelope.type, envelope.source, (record.key or b"").decode(errors="replace"), envelope.data,
            record.topic, record.partition, record.offset, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
            inbox_id, self._day(topic, envelope), envelope.body, envelope.traceparent, _repair(record),
        )  # fmt: skip
        body_hash = getattr(envelope.data, "body_hash", None)
        return Entry(record, inbox_id, incoming.day, incoming, None, incoming.repair, body_hash)

    def _day(self, topic: Topic, envelope: codec.Envelope) -> date:
        """The event's own recorded_at day, so that a repeat meets its first; for ever where others write the day."""
        recorded = getattr(envelope.data, "recorded_at", None)
        if topic.name in self.for_ever or topic.foreign or topic.compacted or not isinstance(recorded, datetime):
            return FOR_EVER
        day = recorded.astimezone(UTC).date() if recorded.utcoffset() else recorded.date()
        return day if FIRST_DAY <= day <= LAST_DAY else FOR_EVER


def _repair(record: Record) -> int:
    """Repair number that our own header carries; 0 without one."""
    value = next((v for name, v in record.headers if name == "caudal_repair"), b"")
    return int(value) if value.isdigit() and len(value) < 9 else 0
