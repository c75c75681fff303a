"""What tracking SDKs send: whose it is, what becomes a lead and what an activity, and what they are answered."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events.activities import ActivityReceived
from schemas.identity import identity_hash
from services.intake.answers import Problem
from services.intake.arrival import Arrival
from services.intake.receive import read_one
from services.intake.reports import read_activity
from services.intake.sources import segment
from services.intake.sources.protocol import Delivery, Item
from services.intake.sources.source import Source
from services.intake.submission import read_lead
from tests.unit.test_intake_deliver import KEY, KEYS, OTHER_KEY, OTHER_KEYS, SECRET, Desk, ids

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRAITS = {"email": "ana@example.com", "firstName": "Ana", "phone": "+34 600 000 012", "company": {"name": "Example SL"}}
CONTEXT = {
    "library": {"name": "x"}, "ip": "192.0.2.7", "userAgent": "Mozilla", "locale": "es-ES",
    "campaign": {"name": "spring", "source": "google", "medium": "cpc", "id": "7"},
    "page": {"url": "https://www.example.com/price", "referrer": "https://search.example.org/"},
}  # fmt: skip


def desk(**source: Any) -> Desk:
    return Desk({"web": {"keys": KEYS, "lead_events": ["Lead Submitted"], **source}, "other": {"keys": OTHER_KEYS}})


def basic(key: str = KEY) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def event(call: str, n: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": call, "messageId": f"message-{n}", "userId": "u-1", "anonymousId": "a-1", **fields}


def track(n: int = 1, **fields: Any) -> dict[str, Any]:
    return event("track", n, **{"event": "Price Viewed", **fields})


def submitted(n: int = 1, **fields: Any) -> dict[str, Any]:
    return track(n, **{"event": "Lead Submitted", "properties": TRAITS, "context": CONTEXT, **fields})


def batch(at: Desk, *events: Any, **outer: Any) -> httpx.Response:
    return at.post("/v1/batch", {"batch": list(events), **outer}, authorization=basic())


def activities(at: Desk) -> list[ActivityReceived]:
    return [ActivityReceived.model_validate_json(m.value or b"") for m in at.messages if "activities" in m.topic]


def test_a_track_whose_event_the_source_names_is_a_lead_with_campaign_and_page_and_the_rest_are_activities() -> None:
    at = desk()
    answer = batch(at, submitted(), track(2), event("page", 3), event("identify", 4, traits=TRAITS))
    assert (answer.status_code, answer.json()["success"], answer.json()["accepted"]) == (200, True, 4)
    (lead,) = at.leads()
    contact = lead.contact
    assert (lead.source_key, contact.given_name, contact.company, contact.phone, contact.language) == (
        "message-1", "Ana", "Example SL", "+34600000012", "es-ES")  # fmt: skip
    assert (lead.origin.campaign, lead.origin.channel, lead.origin.medium, lead.origin.landing_page) == (
        "spring", "google", "cpc", "https://www.example.com/price")  # fmt: skip
    assert lead.answers == {"user_id": "u-1", "anonymous_id": "a-1", "event": "Lead Submitted", "utm_id": "7"}
    assert [one.activity for one in activities(at)] == ["Price Viewed", "page_view", "identify"]


@pytest.mark.parametrize("where", [{"traits": TRAITS}, {"context": {"traits": TRAITS}}, {"userId": "ana@example.com"}])
def test_an_address_is_found_wherever_an_sdk_puts_it_and_stands_nowhere_in_the_activity(where: dict[str, Any]) -> None:
    at = desk()
    batch(at, event("identify", **where))
    (told,) = activities(at)
    assert told.identity == identity_hash(SECRET, "ana@example.com", None, "")
    assert "ana@" not in told.model_dump_json()
    assert "600" not in told.model_dump_json(include={"properties"})


def test_identify_with_an_e_mail_is_a_lead_only_where_the_source_says_so() -> None:
    at = desk(lead_events=["identify"])
    batch(at, event("identify", traits=TRAITS), event("identify", 2, traits={"plan": "x"}), track(3, traits=TRAITS))
    assert [lead.contact.email for lead in at.leads()] == ["ana@example.com"]
    assert [one.activity for one in activities(at)] == ["identify", "Price Viewed"]


def test_a_stranger_has_one_identity_a_source_and_id_and_one_without_any_is_named_as_bad() -> None:
    at = desk()
    batch(at, track(), track(2, anonymousId="a-2"), track(3, userId=None), track(4, userId="u-2"))
    first, second, third, fourth = (one.identity for one in activities(at))
    assert first == second == identity_hash(SECRET, None, None, "web|u-1")
    assert len({first, third, fourth}) == 3
    assert activities(at)[0].properties == {"user_id": "u-1", "anonymous_id": "a-1"}
    answer = batch(at, {"type": "track", "event": "x"})
    assert answer.json()["results"][0]["error"]["code"] == "required"


def test_an_event_keeps_its_properties_campaign_and_page_but_neither_ip_nor_browser() -> None:
    at = desk()
    batch(at, event("page", name="Prices", properties={"plan": "gold", "n": 7, "deep": {"a": 1}}, context=CONTEXT))
    (told,) = activities(at)
    assert (told.subject, told.properties["plan"], told.properties["n"], told.properties["utm_source"]) == (
        "Prices", "gold", "7", "google")  # fmt: skip
    assert told.properties["url"] == "https://www.example.com/price"
    assert "192.0.2.7" not in told.model_dump_json()
    assert "Mozilla" not in told.model_dump_json()


@pytest.mark.parametrize(("told", "sent", "happened"), [
    ("2026-03-01T10:00:00Z", "2026-03-01T10:00:30Z", timedelta(seconds=30)),
    ("2026-03-05T10:00:00+01:00", "2026-03-05T09:01:00Z", timedelta(minutes=1)),
    ("2026-03-01T09:00:00.000Z", None, timedelta(hours=3)),
    ("2026-03-01T10:00:30Z", "2026-03-01T10:00:00Z", timedelta(0)),
    ("2027-01-01T00:00:00Z", None, timedelta(0)),
    ("no time", "2026-03-01T10:00:00Z", timedelta(0)),
    ("2026-03-01T10:00:00Z", "no time", timedelta(hours=2)),
    ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", timedelta(0)),
    ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", timedelta(0)),
])  # fmt: skip
def test_the_senders_clock_is_corrected_by_when_it_sent_and_nothing_happens_after_it_came(
    told: str, sent: str | None, happened: timedelta
) -> None:
    at = desk()
    batch(at, submitted(timestamp=told), track(2, timestamp=told), sentAt=sent)
    times = [at.leads()[0].occurred_at, activities(at)[0].occurred_at]
    assert times == [at.now - happened] * 2


def test_sent_again_it_has_the_same_id_and_the_same_body_whatever_the_time_of_sending() -> None:
    at = desk()
    for n in range(2):
        at.post("/v1/track", {**submitted(), "sentAt": f"2026-03-01T12:00:0{n}Z", "writeKey": KEY})
        at.now += timedelta(days=1)
    assert len(set(ids(at))) == 1
    first, second = at.leads()
    assert first.body_hash == second.body_hash
    assert KEY[13:] not in second.model_dump_json()


def test_the_key_names_the_source_wherever_an_sdk_puts_it() -> None:
    at = desk()
    body = {"batch": [submitted()], "sentAt": None}
    assert at.post("/v1/batch", body, authorization=basic()).status_code == 200
    assert at.post("/v1/batch", {**body, "writeKey": KEY}).status_code == 200
    assert at.post("/v1/import", gzip.compress(json.dumps({**body, "writeKey": KEY}).encode())).status_code == 200
    assert [lead.source for lead in at.leads()] == ["web"] * 3
    for key in ("", "x", KEY[:-1], KEY[:-1] + "~"):
        answer = at.post("/v1/batch", {**body, "writeKey": key})
        assert (answer.status_code, answer.json()["code"], bool(answer.json()["message"])) == (
            401,
            "unauthorized",
            True,
        )
    assert at.post("/v1/batch", {**body, "writeKey": KEY}, authorization=basic("wrong")).status_code == 401


def test_a_source_of_the_protocol_takes_the_same_calls_below_its_own_address() -> None:
    at = desk(preset="rudderstack")
    for path in (f"/in/web/{KEY}/v1/batch", f"/in/web/{KEY}"):
        assert at.post(path, {"batch": [submitted(), track(2)]}).json()["accepted"] == 2
    assert at.post("/in/web/v1/track", submitted(), authorization=basic()).json()["success"] is True
    assert at.post("/in/web/v1/track", submitted(), authorization=basic(OTHER_KEY)).status_code == 401
    assert len(at.leads()) == 3


@pytest.mark.parametrize("call", segment.CALLS)
def test_each_call_has_a_path_of_its_own_where_the_event_need_not_say_what_it_is(call: str) -> None:
    at = desk()
    sent = {"messageId": "m", "userId": "u-1", "event": "Price Viewed", "traits": {}}
    assert at.post(f"/v1/{call}", sent, authorization=basic()).json()["success"] is True
    assert len(activities(at)) == 1


@pytest.mark.parametrize("label", ["application/json", "application/x-www-form-urlencoded", "text/plain", "image/png"])
@pytest.mark.parametrize("folded", [True, False])
def test_a_label_says_nothing_the_first_bytes_do(label: str, folded: bool) -> None:
    at = desk()
    body = json.dumps({"batch": [submitted()]}).encode()
    sent = gzip.compress(body) if folded else b" \n" + body
    encoding = "identity" if folded else "gzip"
    answer = at.post("/v1/batch", sent, authorization=basic(), content_type=label, content_encoding=encoding)
    assert (answer.status_code, len(at.leads())) == (200, 1)


def test_one_bad_event_of_a_batch_is_named_and_the_others_are_taken() -> None:
    at = desk()
    good, twice = json.dumps(track()), '{"type": "track", "event": "a", "event": "b", "userId": "u"}'
    surrogate = json.dumps(track(2, event="half \ud83d"))
    body = f'{{"batch": [{good}, {twice}, 7, {{"type": "delete"}}, {surrogate}]}}'.encode()
    answer = at.post("/v1/batch", body, authorization=basic())
    assert answer.status_code == 200
    assert [line.get("error", {}).get("code") for line in answer.json()["results"]] == [
        None, "duplicate_key", "not_an_object", "unknown_value", None]  # fmt: skip
    assert answer.json()["accepted"] == 2
    assert [m.topic for m in at.messages].count("deadletters.v1") == 1
    assert len(at.messages) == 3


def test_a_bad_event_is_kept_as_a_dead_letter_without_the_write_key() -> None:
    at = desk()
    body = {"batch": [submitted(), {"type": "delete", "of": "it"}], "writeKey": KEY}
    assert at.post("/v1/batch", body).json()["rejected"] == 1
    (letter,) = [json.loads(m.value or b"") for m in at.messages if m.topic == "deadletters.v1"]
    kept = base64.b64decode(letter["raw_value"])
    assert (letter["reason"], b'"of": "it"' in kept) == ("unknown_value", True)
    assert KEY.encode() not in kept
    assert KEY[:13].encode() in kept


def test_an_object_or_list_where_we_expect_a_text_loses_no_lead() -> None:
    at = desk()
    odd = {
        "email": "ana@example.com",
        "name": {"first": "Ana"},
        "product": ["a", "b"],
        "phone": [],
        "n": None,
        "address": {"street": ["c/ Mayor", "1"], "city": "Vigo"},
    }
    assert batch(at, submitted(properties=odd)).json()["accepted"] == 1
    (lead,) = at.leads()
    assert (lead.contact.email, lead.product, lead.contact.city) == ("ana@example.com", "a, b", "Vigo")
    assert (lead.answers["name.first"], lead.contact.street) == ("Ana", "c/ Mayor, 1")


def test_the_sources_own_map_counts_for_leads_of_events_too() -> None:
    at = desk(fields={"correo2": "email", "box.city": "city"}, constants={"product": "roof"}, id_field="order")
    batch(at, submitted(properties={"correo2": "b@example.com", "order": 7, "box": {"city": "Vigo"}}))
    (lead,) = at.leads()
    assert (lead.contact.email, lead.contact.city, lead.product, lead.source_key) == (
        "b@example.com", "Vigo", "roof", "7")  # fmt: skip


REFUSED: dict[str, tuple[str, bytes, int, str]] = {
    "no json": ("/v1/batch", b"x", 400, "bad_json"),
    "nothing": ("/v1/batch", b"", 400, "bad_json"),
    "cut gzip": ("/v1/batch", gzip.compress(b'{"batch": []}')[:-9], 400, "bad_gzip"),
    "no gzip": ("/v1/batch", b"\x1f\x8b" + b"x" * 99, 400, "bad_gzip"),
    "bomb": ("/v1/batch", gzip.compress(b" " * 20_000_000), 413, "too_large"),
    "large event": ("/v1/track", json.dumps(track(properties={"x": "y" * 300_000})).encode(), 413, "too_large"),
    "too many": ("/v1/batch", json.dumps({"batch": [1] * (segment.MOST_EVENTS + 1)}).encode(), 413, "too_many"),
    "no event": ("/v1/track", b"7", 422, "not_an_object"),
    "no batch": ("/v1/batch", b"{}", 422, "unknown_value"),
    "nobody": ("/v1/track", b'{"event": "x"}', 422, "required"),
    "two times": ("/v1/batch", b'{"sentAt": "1", "sentAt": "2", "batch": []}', 422, "duplicate_key"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_as_a_whole_is_told_with_code_and_message(case: str) -> None:
    path, body, status, code = REFUSED[case]
    at = desk()
    answer = at.post(path, body, authorization=basic())
    assert (answer.status_code, answer.json()["code"], bool(answer.json()["message"])) == (status, code, True)
    assert {m.topic for m in at.messages} <= {"deadletters.v1"}


def test_an_event_larger_than_those_sdks_send_is_taken_and_one_beyond_ours_named() -> None:
    at = desk()
    sizes = (32_768, 200_000, 300_000)
    answer = batch(at, *(track(n, properties={"x": "y" * size}) for n, size in enumerate(sizes)))
    assert [line.get("error", {}).get("code") for line in answer.json()["results"]] == [None, None, "too_large"]


def test_another_method_on_a_path_of_an_sdk_is_405() -> None:
    assert desk().call("GET", "/v1/batch").status_code == 405


def test_a_source_that_sends_no_activities_is_told_so_event_by_event() -> None:
    at = desk(accepts=["leads"])
    answer = batch(at, submitted(), track(2))
    assert (answer.json()["accepted"], answer.json()["results"][1]["error"]["code"]) == (1, "forbidden")


NAMES = ["type", "event", "userId", "anonymousId", "messageId", "properties", "traits", "context", "page", "campaign",
         "timestamp", "sentAt", "email", "phone", "name", "address", "company", "consents", "a", "url"]  # fmt: skip
names = st.sampled_from(NAMES)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["a@b.example", "7", "track"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
odd_events = st.dictionaries(names, values, max_size=8).map(lambda event: {"userId": "u", "type": "track", **event})


@settings(max_examples=60, deadline=None)
@given(st.lists(values | odd_events, max_size=4), values, st.sampled_from(["batch", *segment.CALLS]))
def test_whatever_an_event_holds_is_an_item_or_a_refusal(listed: list[Any], sent_at: Any, call: str) -> None:
    source = Source(name="web", lead_events=("x", "identify"), fields={"a.b": "email"})
    content: Any = {"batch": listed, "sentAt": sent_at} if call == "batch" else (listed or [{}])[0]
    unpacked = segment.unpack(Delivery(f"v1/{call}", {}, {}, json.dumps(content).encode(), NOW), source)
    for item in () if isinstance(unpacked, Problem) else unpacked.items:
        if isinstance(item, Item):
            reader = read_lead if item.kind == "lead" else read_activity
            assert read_one(reader, Arrival(source, item.content, item.raw, item.key, NOW, NOW, SECRET))
