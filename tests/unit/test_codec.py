"""CloudEvents on Kafka: what we write we read, and what others write never does worse than being unreadable."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import Unreadable
from schemas.events.people import ErasureRequested
from schemas.topics import (
    LEADS_ASSIGNED,
    LEADS_RECEIVED,
    PEOPLE_CHANGED,
    PEOPLE_ERASURES,
    Topic,
    destination_outcomes,
    source_topic,
)
from services.runtime.decode import Decoder
from services.runtime.transport import Record

DAY = "2026-03-02"
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
OUTCOMES, SOURCE = destination_outcomes("crm"), source_topic("site")
TOPICS = [LEADS_RECEIVED, PEOPLE_CHANGED, LEADS_ASSIGNED, OUTCOMES, SOURCE]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TRACE = st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
NAMES = st.sampled_from(
    ["ce_id", "ce_type", "ce_source", "content-type", "traceparent", "ce_traceparent", "caudal_repair"]
) | st.text(max_size=5)
VALUES = st.binary(max_size=40) | st.sampled_from(
    [b"application/cloudevents+json", b"application/cloudevents", b"lead.received", b"lead.won", b"tombstone", b"\xff"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
FIELDS = st.sampled_from(["id", "type", "source", "data", "data_base64", "lead_id"]) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
BODIES = st.none() | st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode())


@given(TEXT, TEXT, st.none() | TRACE)
def test_what_we_write_we_read(event_id: str, address: str, trace: str | None) -> None:
    told = {"occurred_at": AT, "recorded_at": AT, "cause_id": event_id, "correlation_id": "c"}
    data = ErasureRequested.model_validate(told | {"address": address, "source": "site"})
    headers = codec.write(event_id, "erasure.requested", "caudal/intake", trace)
    read = codec.read(PEOPLE_ERASURES, b"k", data.model_dump_json().encode(), headers, DAY)
    assert (read.id, read.type, read.source, read.traceparent) == (
        event_id,
        "erasure.requested",
        "caudal/intake",
        trace,
    )
    assert read.data == data


@given(st.sampled_from(TOPICS), st.none() | st.binary(max_size=20), BODIES, HEADERS)
def test_no_record_is_worse_than_unreadable(
    topic: Topic, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    try:
        envelope = codec.read(topic, key, value, headers, DAY)
    except Unreadable as fault:
        reason, known = fault.reason, codec.unreadable_id(topic, key, value, headers, DAY)
    else:
        reason, known = "", codec.inbox_id(topic, envelope.source, envelope.id)
    assert reason in {"", "no_event_id", "unknown_type", "empty", "structured", "schema"}
    assert len(known) == 36


@given(
    st.sampled_from(TOPICS), st.none() | st.binary(max_size=20), BODIES, HEADERS, st.integers(0, 253_402_300_799_000)
)
def test_every_record_is_an_entry(
    topic: Topic, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], timestamp_ms: int
) -> None:
    entry = Decoder({t.name: t for t in TOPICS}, frozenset()).entry(
        Record(topic.name, 0, 0, timestamp_ms, key, value, headers)
    )
    assert (entry.incoming is None) == (entry.dead is not None)
    assert entry.repair >= 0


def test_structured_mode_is_read_as_binary_mode() -> None:
    binary = codec.read(SOURCE, None, b'{"a": 1}', [("ce_id", b"7"), ("ce_type", b"t"), ("ce_source", b"s")], DAY)
    for data in ({"data": {"a": 1}}, {"data_base64": base64.b64encode(b'{"a": 1}').decode()}):
        body = json.dumps({"specversion": "1.0", "id": "7", "type": "t", "source": "s"} | data).encode()
        headers = [("content-type", b"Application/CloudEvents+JSON; charset=utf-8")]
        assert codec.read(SOURCE, None, body, headers, DAY) == binary


def test_an_attribute_that_is_null_is_absent() -> None:
    """Else all events without an id would be repeats of the first, whose id is `None`."""

    def read(n: int) -> codec.Envelope:
        body = json.dumps({"id": None, "type": "t", "source": None, "data": n}).encode()
        return codec.read(SOURCE, None, body, [("content-type", b"application/cloudevents+json")], DAY)

    assert read(1).id != read(2).id
    assert read(1).source == SOURCE.name


@pytest.mark.parametrize("trace", [b"", b"a\tb", b"a\nb", b"00-" + b"0" * 32, b"\xff", b"\x00"])
def test_a_trace_context_that_is_none_is_not_carried_on(trace: bytes) -> None:
    assert codec.read(SOURCE, None, b"{}", [("traceparent", trace)], DAY).traceparent is None


def test_a_tombstone_is_an_event_on_compacted_topics_only() -> None:
    assert codec.read(PEOPLE_CHANGED, b"ana", None, [("ce_id", b"7")], DAY).type == codec.TOMBSTONE
    with pytest.raises(Unreadable, match="not compacted"):
        codec.read(LEADS_RECEIVED, b"ana", None, [("ce_id", b"7")], DAY)


def test_an_event_of_others_without_an_id_is_known_by_topic_key_value_and_day() -> None:
    def known(topic: Topic = SOURCE, key: bytes = b"k", value: bytes = b"v", day: str = DAY) -> str:
        return codec.inbox_id(topic, "s", codec.read(topic, key, value, [], day).id)

    others = [known(source_topic("other")), known(key=b"kv"), known(value=b"w"), known(key=b"", value=b"kv")]
    others.append(known(day="2026-03-03"))
    assert known() == known()
    assert len({known(), *others}) == 6


def test_the_same_id_from_two_sources_is_two_events_and_the_topic_is_the_source_where_others_write() -> None:
    assert codec.inbox_id(LEADS_RECEIVED, "a", "7") != codec.inbox_id(LEADS_RECEIVED, "b", "7")
    assert codec.inbox_id(OUTCOMES, "a", "7") == codec.inbox_id(OUTCOMES, "b", "7")
    ours = "6f9619ff-8b86-4d01-b42d-00c04fc964ff"
    assert codec.inbox_id(LEADS_RECEIVED, "a", ours) == ours
    assert codec.inbox_id(OUTCOMES, "a", ours) != ours


def test_a_repaired_record_that_is_still_unreadable_keeps_its_id() -> None:
    """So that it is let in again once for each repair number."""
    plain, repaired = [("a", b"1")], [("a", b"1"), ("caudal_repair", b"2")]
    assert codec.unreadable_id(SOURCE, b"k", b"v", plain, DAY) == codec.unreadable_id(SOURCE, b"k", b"v", repaired, DAY)
    assert codec.unreadable_id(SOURCE, b"k", b"v", [("a", b"2")], DAY) != codec.unreadable_id(
        SOURCE, b"k", b"v", plain, DAY
    )


@pytest.mark.parametrize(
    ("timestamp_ms", "day"), [(0, "1970-01-01"), (86_399_999, "1970-01-01"), (86_400_000, "1970-01-02")]
)
def test_the_day_of_a_record_is_that_of_utc(timestamp_ms: int, day: str) -> None:
    assert codec.utc_day(timestamp_ms) == day


def test_the_detail_of_a_fault_quotes_no_value() -> None:
    body = json.dumps({"address": 5, "source": "ana@example.com", "occurred_at": "ana@example.com"}).encode()
    headers = codec.write("7", "erasure.requested", "s")
    with pytest.raises(Unreadable) as raised:
        codec.read(PEOPLE_ERASURES, b"k", body, headers, DAY)
    assert "ana" not in raised.value.detail
    assert "occurred_at: datetime" in raised.value.detail
