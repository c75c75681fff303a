"""Activities, outcomes and consents as reported, and records of sources of kind `kafka`."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.events.activities import ActivityReceived
from schemas.events.leads import LeadReceived
from schemas.events.outcomes import OutcomeReport
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, identity_hash
from services.intake.arrival import Accepted, Arrival, Refused
from services.intake.decide import decide
from services.intake.parse import item_text
from services.intake.reports import read_activity, read_consent, read_outcome
from services.intake.rules import SourceRules
from services.intake.sources.source import Source
from services.intake.submission import read_lead
from services.runtime.verdict import Book, Context, Dead, Emit, Incoming

SECRET = "a secret of the tests, 32 letters"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRM = Source(name="crm", region="ES", accepts=("outcomes",), destination="north")
FEED = SourceRules.model_validate({"sources": {"feed": {"kind": "kafka", "id_field": "ref"}, "web": {}}})


def arrival(content: dict[str, Any], key: str | None = None) -> Arrival:
    return Arrival(CRM, content, item_text(content), key, NOW, NOW, SECRET)


def only(result: Accepted | Refused) -> Any:
    assert isinstance(result, Accepted), result
    (event,) = result.events
    return event


def test_an_activity_is_keyed_as_the_lead_of_the_same_person_is() -> None:
    event = only(
        read_activity(arrival({"correo": "A.na+x@gmail.com", "activity": "page_view", "properties": {"n": 3}}))
    )
    lead = only(read_lead(arrival({"email": "ana@gmail.com"})))
    assert event.key == lead.key == identity_hash(SECRET, "ana@gmail.com", None, "")
    assert isinstance(event.data, ActivityReceived)
    assert (event.type, event.data.activity, event.data.properties) == ("activity.received", "page_view", {"n": "3"})


def test_an_activity_can_be_retracted() -> None:
    event = only(read_activity(arrival({"phone": "600000012", "activity": "call", "retracts": "id-1"})))
    assert (event.type, event.data.retracts) == ("activity.retracted", "id-1")


@pytest.mark.parametrize(
    ("content", "field"), [({"email": "ana@example.com"}, "activity"), ({"activity": "call"}, "email")]
)
def test_an_activity_without_what_or_who_is_refused(content: dict[str, Any], field: str) -> None:
    result = read_activity(arrival(content))
    assert isinstance(result, Refused)
    assert result.faults[0].field == field


@pytest.mark.parametrize(
    ("written", "event_type"),
    [("given", "consent.given"), ("withdrawn", "consent.withdrawn"), ("suppression.added", "suppression.added")],
)
def test_a_consent_is_known_by_the_hash_of_its_address(written: str, event_type: str) -> None:
    event = only(read_consent(arrival({"type": written, "email": "Ana@example.com", "purpose": "offers"})))
    assert isinstance(event.data, ConsentReceived)
    assert event.type == event_type
    assert event.key == event.data.address == address_hash(SECRET, "email", "ana@example.com")
    assert "example.com" not in (event.value or "")


def test_a_consent_to_be_called_is_about_the_phone() -> None:
    event = only(
        read_consent(arrival({"type": "given", "phone": "600000012", "email": "a@example.com", "channel": "sms"}))
    )
    assert event.key == address_hash(SECRET, "phone", "+34600000012")


@pytest.mark.parametrize(
    "content", [{"type": "maybe", "email": "a@example.com"}, {"type": "given"}, {"type": ["given"]}]
)
def test_a_consent_without_state_or_address_is_refused(content: dict[str, Any]) -> None:
    assert isinstance(read_consent(arrival(content)), Refused)


def test_an_outcome_belongs_to_the_keys_destination_whatever_the_body_says() -> None:
    content = {"type": "lead.won", "lead_id": "l-1", "value": 10, "destination": "south", "note": "a\x00b"}
    event = only(read_outcome(arrival(content)))
    report = OutcomeReport.model_validate_json(event.value)
    assert (event.type, event.key, report.destination, report.note) == ("lead.won", "l-1", "north", "ab")


@pytest.mark.parametrize(
    "content",
    [{"type": "lead.sold", "lead_id": "l-1"}, {"type": "lead.won"}, {"type": "lead.won", "lead_id": ""},
     {"type": "lead.won", "lead_id": "x" * 65}, {"type": "lead.won", "lead_id": "l-1", "value": "much"},
     {"type": ["lead.won"], "lead_id": "l-1"}, {"lead_id": "l-1"}],
)  # fmt: skip
def test_an_outcome_that_is_none_is_refused(content: dict[str, Any]) -> None:
    result = read_outcome(arrival(content))
    assert isinstance(result, Refused)
    assert all(fault.code and fault.message for fault in result.faults)


def test_a_report_sent_again_has_the_same_id() -> None:
    content = {"type": "lead.won", "lead_id": "l-1"}
    assert only(read_outcome(arrival(content))).id == only(read_outcome(arrival(content))).id
    assert only(read_outcome(arrival(content, "k"))).id != only(read_outcome(arrival(content))).id


def record(body: bytes, topic: str = "sources.feed.v1", event_id: str = "e-1") -> Incoming:
    return Incoming(event_id, "", topic, "", None, topic, 0, 0, NOW, "i-1", date(1970, 1, 1), body)


def verdict(incoming: Incoming) -> Any:
    return decide(incoming, SECRET, Context(NOW, {"sources": Book("sources-1", FEED)}))


def test_a_record_of_a_source_topic_becomes_the_lead_that_http_makes_of_it() -> None:
    body = b'{"ref": 7, "correo": "ana@example.com"}'
    result = verdict(record(body))
    assert isinstance(result, Emit)
    posted = only(read_lead(Arrival(FEED.sources["feed"], {"ref": 7, "correo": "ana@example.com"}, body.decode(), None,
                                    NOW, NOW, SECRET)))  # fmt: skip
    (event,) = result.events
    assert event == posted
    assert LeadReceived.model_validate_json(event.value).contact.email == "ana@example.com"


def test_a_record_without_its_sources_key_is_known_by_its_event_id() -> None:
    one, same, other = (verdict(record(b'{"email": "a@example.com"}', event_id=i)) for i in ("e-1", "e-1", "e-2"))
    assert one.events[0].id == same.events[0].id != other.events[0].id


@pytest.mark.parametrize(
    ("body", "topic", "reason"),
    [(b"{", "sources.feed.v1", "bad_json"), (b"\xff", "sources.feed.v1", "bad_json"),
     (b"[]", "sources.feed.v1", "not_an_object"),
     (b"{}", "sources.feed.v1", "empty"), (b"[" * 100_000, "sources.feed.v1", "bad_json"),
     (b'"' + b"x" * 300_000 + b'"', "sources.feed.v1", "too_large"),
     (b'{"a": 1}', "sources.nobody.v1", "unknown_source"), (b'{"a": 1}', "sources.web.v1", "unknown_source")],
)  # fmt: skip
def test_a_record_that_is_no_lead_is_a_dead_letter_with_its_reason(body: bytes, topic: str, reason: str) -> None:
    result = verdict(record(body, topic))
    assert isinstance(result, Dead)
    assert result.reason == reason
