"""The topics from offset 0, as rows: what `verify` compares the tables with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b, md5
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from schemas import topics as catalogue
from schemas.events.assignments import Assignment
from schemas.events.event import derived_id
from schemas.events.leads import LeadNotified, LeadQualified, LeadReceived, SubmissionClosed
from schemas.events.outcomes import Outcome
from schemas.events.people import ConsentChanged, PersonChanged
from schemas.events.touches import Touch
from schemas.topics import Topic
from services.cli.verification.rows import NULL, Rows, escaped
from services.runtime.decode import Decoder, Entry
from services.runtime.kafka.reader import Reader
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.transport import Record
from services.runtime.verdict import Incoming

SQL = load_queries("services.cli.verification", "tables.sql")
READ_WITHIN_S = 1800.0
GIVEN = frozenset(("lead.assigned", "lead.reassigned"))
END_STATES = MappingProxyType({
    "lead.qualified": "opened", "lead.attached": "attached",
    "interest.noted": "interest", "lead.disqualified": "disqualified",
})  # fmt: skip
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def whole(servers: str, names: Sequence[str]) -> Iterator[Record]:
    """All records that the topics hold now, from the first."""
    reader = Reader(servers, names)
    try:
        yield from reader.to_end(READ_WITHIN_S)
    finally:
        reader.close()


def load(rows: Rows, records: Iterable[Record], topics: Sequence[Topic]) -> int:
    """Read records into the tables; how many there were."""
    decoder, count = Decoder({topic.name: topic for topic in topics}, frozenset()), 0
    for record in records:
        count += 1
        take(rows, decoder.entry(record))
    rows.send()
    return count


def take(rows: Rows, entry: Entry) -> None:
    """One record: a row of its own, and one of its kind where a rule looks into its data."""
    record, event = entry.record, entry.incoming
    if event is None:
        place = (record.topic, record.partition, record.offset, record.timestamp_ms)
        rows.add("log_record", *place, *(None,) * 4, entry.inbox_id, entry.day, *(None,) * 5)
        return
    _note(rows, event, record.timestamp_ms, digest(event.type, record.key or b"", record.value))
    detail = DETAILS.get(record.topic)
    if detail is not None and event.data is not None:
        detail(rows, event, event.data)


def recall(cursor: Cursor, rows: Rows, topics: Sequence[Topic]) -> None:
    """Take in what analytics kept of events that these topics hold no more."""
    for topic in topics:
        cursor.execute(SQL["kept_facts"], {"topic": topic.name})
        while page := select(cursor, SQL["next_kept_facts"]):
            for row in page:
                _recall_one(rows, topic, *row)
            rows.send()
        cursor.execute(SQL["end_kept_facts"])


def digest(event_type: str, key: bytes, value: bytes | None) -> int:
    """64 bits that tell one event's bytes from another's; 0 for a tombstone."""
    if value is None:
        return 0
    event = b"%s\0%s\0%s" % (event_type.encode(), key, value)
    return int.from_bytes(blake2b(event, digest_size=8).digest(), "big", signed=True)


def as_uuid(name: str) -> str:
    """An id as a UUID: itself where it is one in our form, else one made of it."""
    if _UUID(name):
        return name
    return md5(name.encode(errors="replace"), usedforsecurity=False).hexdigest()


def _note(rows: Rows, event: Incoming, at_ms: int, sum64: int) -> None:
    data = event.data
    cause, version = getattr(data, "cause_id", None), getattr(data, "version", NULL)
    due_at, until = getattr(data, "due_at", None) or NULL, getattr(data, "applied_until", None) or NULL
    event_id = event.id if event.id == event.inbox_id else as_uuid(event.id)
    rows.add_line(
        "log_record",
        f"{event.topic}\t{event.partition}\t{event.offset}\t{at_ms}\t{escaped(event.key[:200])}\t"
        f"{escaped(event.type[:200])}\t{escaped(event.source[:200])}\t{event_id}\t{event.inbox_id}\t{event.day}\t"
        f"{version}\t{as_uuid(cause) if cause else NULL}\t{due_at}\t{until}\t{sum64}",
    )


def _recall_one(
    rows: Rows, topic: Topic, event_id: str, kind: str, key: str, at: datetime, text: str, day: Any
) -> None:
    model = topic.events.get(kind)
    try:
        data: Any = model.model_validate_json(text) if model else None
    except ValidationError:  # analytics keeps what was readable then; today's reader knows no more of it
        return
    event = Incoming(event_id, kind, "", key, data, topic.name, -1, -1, at, event_id, day, text.encode())
    _note(rows, event, int(at.timestamp() * 1000), digest(kind, key.encode(), event.body))
    if topic.name in DETAILS and data is not None:
        DETAILS[topic.name](rows, event, data)


def _submission(rows: Rows, event: Incoming, data: LeadReceived) -> None:
    reused = derived_id(event.inbox_id, data.body_hash)
    rows.add("log_submission", event.id, event.partition, event.offset, event.inbox_id, data.body_hash, reused)


def _notice(rows: Rows, event: Incoming, data: LeadNotified) -> None:
    rows.add("log_notice", event.inbox_id, data.source, data.notice_id, data.action, event.partition, event.offset)


def _ending(rows: Rows, event: Incoming, data: LeadQualified | SubmissionClosed) -> None:
    if data.submission_id and event.type in END_STATES:
        is_test = isinstance(data, SubmissionClosed) and data.is_test
        end_state = "test" if is_test else END_STATES[event.type]
        rows.add("log_ending", event.inbox_id, data.submission_id, end_state, event.partition, event.offset)


def _assignment(rows: Rows, event: Incoming, data: Assignment) -> None:
    owner = data.owner
    held = (owner.rep_id, owner.number, owner.load, owner.capacity) if owner else (None,) * 4
    rows.add("log_assignment", event.inbox_id, data.lead_id, data.version, data.state, *held, data.rules_version,
             event.type in GIVEN)  # fmt: skip
    if data.version > 1:  # a clock acts on a state that was told before
        for what in ("respond_by", "retry_at"):
            rows.add("due_row", derived_id(data.lead_id, what, data.version - 1))


def _touch(rows: Rows, event: Incoming, data: Any) -> None:
    if isinstance(data, Touch):
        rows.add("log_touch", event.inbox_id, event.type, data.enrolment_id, data.step, data.sequence,
                 data.rules_version, data.applied_until, event.timestamp)  # fmt: skip
        rows.add("due_row", derived_id(data.enrolment_id, "step", data.step))


def _consent(rows: Rows, event: Incoming, data: ConsentChanged) -> None:
    rows.add("log_consent", data.address, data.channel, data.purpose, data.version, data.state, data.decided_at,
             as_uuid(data.cause_id))  # fmt: skip


def _person(rows: Rows, event: Incoming, data: PersonChanged) -> None:
    for address_hash in data.identities or (None,):
        rows.add("log_identity", data.person_id, data.version, address_hash)


def _outcome(rows: Rows, event: Incoming, data: Outcome) -> None:
    rows.add("log_outcome", data.lead_id, event.type, data.occurred_at, data.by_holder, event.partition, event.offset)


DETAILS: Mapping[str, Callable[[Rows, Incoming, Any], None]] = MappingProxyType({
    catalogue.LEADS_NOTIFIED.name: _notice,
    catalogue.LEADS_RECEIVED.name: _submission,
    catalogue.LEADS_QUALIFIED.name: _ending,
    catalogue.LEADS_ASSIGNED.name: _assignment,
    catalogue.LEADS_TOUCHES.name: _touch,
    catalogue.PEOPLE_CONSENTS.name: _consent,
    catalogue.PEOPLE_CHANGED.name: _person,
    catalogue.LEADS_OUTCOMES.name: _outcome,
})  # fmt: skip
