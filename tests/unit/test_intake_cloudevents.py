"""CloudEvents over HTTP in three modes, and the same events on a topic: one reading, one id."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from schemas.events.activities import ActivityReceived
from schemas.identity import identity_hash
from services.intake.decide import decide
from services.intake.rules import SourceRules
from services.intake.sources.presets import presets
from services.intake.submission import lead_of
from services.runtime.verdict import Book, Context, Dead, Emit, Incoming
from tests.unit.test_intake_deliver import KEY, KEYS, SECRET, Desk, ids

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = {"email": "ana@example.com", "name": "Ana"}
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e-1", "source": "/shop/1", "type": "com.example.lead", "time": "2026-03-01T11:00:00Z",
    "region": "north west", "datacontenttype": "application/json", "data": DATA,
}  # fmt: skip
STRUCTURED, BATCHED = "application/cloudevents+json; charset=utf-8", "application/cloudevents-batch+json"


def desk(**source: Any) -> Desk:
    return Desk({"shop": {"preset": "cloudevents", "keys": KEYS, **source}})


def send(at: Desk, body: Any, kind: str = STRUCTURED, **headers: str) -> httpx.Response:
    return at.post(f"/in/shop/{KEY}", body, content_type=kind, **headers)


def binary(at: Desk, event: dict[str, Any], kind: str = "application/json") -> httpx.Response:
    headers = {f"ce_{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")}
    return send(at, event.get("data", b""), kind, **headers)


def activity(at: Desk) -> ActivityReceived:
    return ActivityReceived.model_validate_json(at.messages[-1].value or b"")


def test_an_event_is_the_same_lead_in_every_mode() -> None:
    at = desk()
    answers = [
        binary(at, EVENT), send(at, EVENT), send(at, EVENT, "APPLICATION/CloudEvents+JSON"),
        send(at, [EVENT], BATCHED),
        send(at, {**EVENT, "data": json.dumps(DATA)}),
        send(at, {**EVENT, "data": None, "data_base64": base64.b64encode(json.dumps(DATA).encode()).decode()}),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(set(ids(at))) == 1
    for lead in at.leads():
        assert (lead.contact.email, lead.occurred_at.hour, lead.source_key) == ("ana@example.com", 11, "/shop/1 e-1")
        assert "north west" in lead.raw


def test_attributes_in_headers_are_percent_decoded_and_a_form_is_data_too() -> None:
    at = desk()
    binary(
        at, {**EVENT, "id": "caf%C3%A9%20%25", "data": b"email=ana%40example.com"}, "application/x-www-form-urlencoded"
    )
    (lead,) = at.leads()
    assert (lead.source_key, lead.contact.email) == ("/shop/1 café %", "ana@example.com")


def test_another_try_with_another_trace_has_the_same_body() -> None:
    at = desk()
    for trace in ("00-1", "00-2"):
        binary(at, {**EVENT, "traceparent": trace})
    first, second = at.leads()
    assert first.body_hash == second.body_hash


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_without_a_required_attribute_it_is_refused_and_named(missing: str) -> None:
    at = desk()
    without = {name: value for name, value in EVENT.items() if name != missing}
    for answer in (binary(at, without), send(at, without), send(at, {**EVENT, missing: ""})):
        assert (answer.status_code, answer.json()["code"]) == (400, "missing_attribute")
        assert missing in answer.json()["message"]
    batch = send(at, [without, EVENT], BATCHED)
    assert (batch.status_code, batch.json()["accepted"], batch.json()["rejected"]) == (200, 1, 1)
    assert len(at.messages) == 1


@pytest.mark.parametrize(("body", "kind", "status", "code"), [
    (b"{", STRUCTURED, 400, "bad_json"), (b"7", STRUCTURED, 400, "not_an_event"),
    (b"{}", BATCHED, 400, "not_a_batch"),
    (b"[", BATCHED, 400, "bad_json"),
    ({**EVENT, "data": "x"}, STRUCTURED, 422, "not_an_object"),
    ({**EVENT, "data": [1]}, STRUCTURED, 422, "not_an_object"),
    ({**EVENT, "data_base64": "?"}, STRUCTURED, 422, "not_an_object"),
    ({**EVENT, "data": {}}, STRUCTURED, 422, "empty"),
    (b'{"id": "1", "id": "2"}', STRUCTURED, 422, "duplicate_key"),
    ([EVENT] * 1001, BATCHED, 413, "too_many"),
    ({**EVENT, "data": {"x": "y" * 300_000}}, STRUCTURED, 413, "too_large"),
])  # fmt: skip
def test_what_is_no_event_is_told_so(body: Any, kind: str, status: int, code: str) -> None:
    answer = send(desk(), body, kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_types_that_are_no_leads_are_activities_of_a_person_or_of_the_events_subject() -> None:
    at = desk(lead_events=["com.example.lead"])
    assert send(at, {**EVENT, "type": "visit", "data": {**DATA, "page": "/p"}}).status_code == 200
    told = activity(at)
    assert (told.activity, told.identity) == ("visit", identity_hash(SECRET, "ana@example.com", None, ""))
    assert (told.occurred_at.hour, told.properties) == (11, {"name": "Ana", "page": "/p"})
    send(at, {**EVENT, "type": "visit", "subject": "cart-7", "data": {"page": "/p"}})
    assert activity(at).identity == identity_hash(SECRET, None, None, "shop|cart-7")
    assert send(at, {**EVENT, "type": "visit", "data": {"page": "/p"}}).status_code == 422
    assert at.leads() == []


def on_topic(body: Any, event_id: str = "e-1", event_type: str = "", **source: Any) -> Any:
    rules = SourceRules.model_validate({"sources": {"shop": {"kind": "kafka", **source}}})
    value = json.dumps(body).encode()
    record = Incoming(event_id, event_type, "/shop/1", "", None, "sources.shop.v1", 0, 0, NOW, "i", NOW.date(), value)
    return decide(record, SECRET, Context(NOW, {"sources": Book("sources-1", rules)}, NOW))


def test_on_a_topic_an_event_has_the_id_that_it_has_by_http() -> None:
    at = desk()
    send(at, EVENT)
    told = on_topic(DATA, event_type="com.example.lead", preset="cloudevents")
    assert isinstance(told, Emit)
    assert [event.id for event in told.events] == ids(at)
    visit = on_topic(DATA, event_type="visit", preset="cloudevents", lead_events=["com.example.lead"])
    assert [event.type for event in visit.events] == ["activity.received"]


def test_on_a_topic_a_source_is_read_by_its_map_and_has_the_ids_of_http() -> None:
    described = {"fields": {"who.mail": "email"}, "id_field": "order.id", "constants": {"product": "roof"},
                 "pairs": [{"list": "more", "name": ["k"], "value": ["v"]}]}  # fmt: skip
    body = {"who": {"mail": "ana@example.com"}, "order": {"id": 7}, "more": [{"k": "city", "v": "Vigo"}]}
    at = Desk({"shop": {"keys": KEYS, **described}})
    at.post(f"/in/shop/{KEY}", body)
    told = on_topic(body, **described)
    (lead,) = map(lead_of, told.events)
    assert (lead.contact.email, lead.contact.city, lead.product, lead.source_key) == (
        "ana@example.com", "Vigo", "roof", "7")  # fmt: skip
    assert [event.id for event in told.events] == ids(at)


@pytest.mark.parametrize("preset", ["segment", "rudderstack", "cloudevents", "standard-webhooks"])
def test_a_preset_of_an_event_stream_is_told_in_two_languages(preset: str) -> None:
    assert presets()[preset].how
    assert presets()[preset].how_es


def test_on_a_topic_what_is_no_object_is_a_dead_letter() -> None:
    assert isinstance(on_topic([1], preset="cloudevents"), Dead)
    assert isinstance(on_topic({"page": "/p"}, event_type="visit", preset="cloudevents", lead_events=["x"]), Dead)


def test_a_standard_webhook_is_one_lead_under_its_own_id() -> None:
    secret = "whsec_" + base64.b64encode(b"a key of the tests, 24 b").decode()
    at = Desk({"hook": {"preset": "standard-webhooks"}}, {"hook": [secret]})
    body = json.dumps({"type": "lead.created", "timestamp": "2026-03-01T12:00:00Z", "data": DATA})
    signature = Webhook(secret).sign("msg_1", at.now, body)
    stamp = str(int(at.now.timestamp()))
    for prefix in ("webhook", "svix"):
        headers = {f"{prefix}_id": "msg_1", f"{prefix}_timestamp": stamp, f"{prefix}_signature": signature}
        assert at.post("/in/hook", body.encode(), **headers).status_code == 200
    assert [lead.source_key for lead in at.leads()] == ["msg_1", "msg_1"]
    assert at.leads()[0].contact.email == "ana@example.com"
    assert len(set(ids(at))) == 1
    assert at.post("/in/hook", (body + " ").encode(), **headers).json()["code"] == "bad_signature"
