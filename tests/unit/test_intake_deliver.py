"""A source's own address: who may deliver there, what is read by its map, what is answered."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from schemas.events.leads import LeadReceived
from schemas.events.operations import CampaignResult
from services.intake import keys
from services.intake.app import build_app
from services.intake.caps.counter import Counter, no_counter
from services.intake.limits import Limits
from services.intake.receive import Intake
from services.intake.rules import SourceRules
from services.intake.thanks import allowed
from services.runtime.transport import Message
from services.runtime.verdict import Book

SECRET = "a secret of the tests, 32 letters"
KEY, PREFIX, DIGEST = keys.new_key()
KEYS = [{"prefix": PREFIX, "sha256": DIGEST}]
OTHER_KEY, OTHER_PREFIX, OTHER_DIGEST = keys.new_key()
OTHER_KEYS = [{"prefix": OTHER_PREFIX, "sha256": OTHER_DIGEST}]
LEADS = "leads.received.v1"
URL = "http://intake.example.com"
GOOGLE: dict[str, Any] = {
    "lead_id": "lead-1", "google_key": "s3cr3t", "is_test": False, "gcl_id": "click-1", "campaign_id": 10000000000,
    "user_column_data": [
        {"column_name": "Full Name", "string_value": "Ana Example", "column_id": "FULL_NAME"},
        {"column_name": "User Phone", "string_value": "+12025550123", "column_id": "PHONE_NUMBER"},
        {"column_name": "User Email", "string_value": "ana@example.org", "column_id": "EMAIL"},
        {"string_value": "Roofing", "column_id": "SERVICE"},
    ],
}  # fmt: skip


@dataclass
class Desk:
    """The application with one book and one file of secrets; what it published is in `messages`."""

    sources: dict[str, Any]
    secrets: dict[str, Sequence[str]] = field(default_factory=dict)
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    messages: list[Message] = field(default_factory=list)
    ready: bool = True
    limits: Limits = field(default_factory=Limits)
    count: Counter = no_counter

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        book = Book("sources-1", SourceRules.model_validate({"sources": self.sources}))
        app = build_app(
            Intake(
                self,
                lambda: book,
                SECRET,
                lambda: self.now,
                self.secrets_of,
                URL,
                self.limits,
                self.count,
            )
        )

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
                return await client.request(method, path, **request)

        return asyncio.run(run())

    def secrets_of(self, source: str, part: str) -> Sequence[str]:
        return self.secrets.get(source if part == "secret" else f"{source}/{part}", ())

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.call("POST", path, content=body, headers={n.replace("_", "-"): v for n, v in headers.items()})

    def leads(self) -> list[LeadReceived]:
        return [LeadReceived.model_validate_json(m.value or b"") for m in self.messages if m.topic == LEADS]


def ids(desk: Desk) -> list[str]:
    return [dict(m.headers)["ce_id"].decode() for m in desk.messages]


def test_a_lead_of_a_preset_is_read_by_its_map_under_its_own_id() -> None:
    desk = Desk({"ads": {"preset": "google-ads"}}, {"ads": ["s3cr3t"]})
    assert desk.post("/in/ads", GOOGLE).status_code == 200
    (lead,) = desk.leads()
    assert (lead.contact.full_name, lead.contact.email, lead.contact.phone) == (
        "Ana Example", "ana@example.org", "+12025550123")  # fmt: skip
    assert (lead.answers, lead.origin.channel, lead.origin.campaign, lead.origin.click_id, lead.source_key) == (
        {"SERVICE": "Roofing"}, "google", "10000000000", "gclid:click-1", "lead-1")  # fmt: skip
    assert "s3cr3t" not in lead.model_dump_json()


def test_a_map_that_gives_one_of_our_names_to_another_field_is_applied_once() -> None:
    desk = Desk({"zap": {"keys": KEYS, "fields": {"name": "company", "message": "product"}}})
    sent = {
        "name": "Example Roofs",
        "full_name": "Ana Soto",
        "message": "roof",
        "comments": "Soon?",
        "tel": "+34600000011",
    }
    assert desk.post(f"/in/zap/{KEY}", sent).status_code == 200
    (lead,) = desk.leads()
    assert (lead.contact.company, lead.contact.full_name, lead.product, lead.message, lead.answers) == (
        "Example Roofs", "Ana Soto", "roof", "Soon?", {})  # fmt: skip


def test_the_same_lead_sent_again_has_the_same_id_whatever_else_changed_in_the_body() -> None:
    desk = Desk({"ads": {"preset": "google-ads"}}, {"ads": ["s3cr3t"]})
    for body in (GOOGLE, {**GOOGLE, "api_version": "2.0"}):
        desk.post("/in/ads", body)
    assert len(ids(desk)) == 2
    assert len(set(ids(desk))) == 1


def test_a_wrong_key_in_the_body_is_refused_and_a_source_without_its_secret_is_closed() -> None:
    desk = Desk({"ads": {"preset": "google-ads"}}, {"ads": ["other"]})
    assert desk.post("/in/ads", GOOGLE).json()["code"] == "bad_signature"
    desk.secrets = {}
    answer = desk.post("/in/ads", GOOGLE)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")
    assert desk.messages == []


def test_a_source_without_signature_is_reached_by_its_key_in_the_path_or_in_a_header() -> None:
    desk = Desk({"zap": {"keys": KEYS}, "other": {"keys": OTHER_KEYS}})
    lead = {"email": "ana@example.com"}
    assert desk.post(f"/in/zap/{KEY}", lead).status_code == 200
    assert desk.post(f"/in/zap/{KEY}/any/further/path", lead).status_code == 200
    assert desk.post("/in/zap", lead, x_api_key=KEY).status_code == 200
    refused = [("/in/zap", {}), (f"/in/other/{KEY}", {}), (f"/in/nobody/{KEY}", {}), (f"/in/zap/{KEY[:-1]}", {}),
               (f"/in/zap/{OTHER_KEY}", {"x_api_key": KEY})]  # fmt: skip
    assert [desk.post(path, lead, **headers).status_code for path, headers in refused] == [401] * 5
    assert len(desk.messages) == 3


def test_one_bad_item_of_a_batch_is_named_and_the_others_are_taken() -> None:
    desk = Desk({"zap": {"keys": KEYS, "items": "rows", "id_field": "id", "required": ["email"]}})
    rows = [{"id": 1, "email": "a@example.com"}, {"id": 2, "name": "x"}, 7, {"id": "4", "email": "d@example.com"}]
    answer = desk.post(f"/in/zap/{KEY}", {"rows": rows})
    assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 2)
    assert [line.get("error", {}).get("code") for line in answer.json()["results"]] == [
        None, "required", "not_an_object", None]  # fmt: skip


@pytest.mark.parametrize(("entry", "content"), [
    ({}, []), ({"items": "rows", "shared": ["utm_source"]}, {"rows": [], "utm_source": "fair"}),
    ({"preset": "generic-json"}, {"leads": []}), ({"preset": "zapier"}, []),
])  # fmt: skip
def test_a_list_without_a_lead_is_refused_as_at_the_common_address(entry: dict[str, Any], content: Any) -> None:
    desk = Desk({"shop": {"keys": KEYS, **entry}})
    own, common = desk.post(f"/in/shop/{KEY}", content), desk.post("/v1/leads", [], x_api_key=KEY)
    assert (own.status_code, own.json()["code"]) == (422, "empty_batch")
    assert own.json() == common.json()


@pytest.mark.parametrize(("preset", "content"), [("segment", {"batch": []}), ("hubspot", []), ("cloudevents", [])])
def test_an_empty_list_of_a_protocol_that_wants_its_200_is_a_success(preset: str, content: Any) -> None:
    desk = Desk({"shop": {"keys": KEYS, "preset": preset, "signature": None}})
    kind = "application/cloudevents-batch+json" if preset == "cloudevents" else "application/json"
    assert desk.post(f"/in/shop/{KEY}", content, content_type=kind).status_code == 200


def test_constants_count_over_what_was_sent_and_defaults_only_where_nothing_was() -> None:
    described = {"constants": {"campaign": "spring"}, "defaults": {"language": "es", "country": "ES"},
                 "fields": {"a.b": "email"}, "drop": ["utm_*"]}  # fmt: skip
    desk = Desk({"zap": {"keys": KEYS, **described}})
    sent = {"a": {"b": "ana@example.com"}, "campaign": "x", "country": "FR", "utm_id": "7", "c": {"d": 1}}
    desk.post(f"/in/zap/{KEY}", sent)
    (lead,) = desk.leads()
    assert (lead.origin.campaign, lead.contact.language, lead.contact.country) == ("spring", "es", "FR")
    assert lead.answers == {"c.d": "1"}


def test_a_query_string_is_a_lead_only_where_the_source_says_so() -> None:
    desk = Desk({"vendor": {"keys": KEYS, "query": True}, "plain": {"keys": OTHER_KEYS}})
    query = {"email": "ana@example.com", "telefono": "+34 600 000 012"}
    assert desk.call("GET", f"/in/vendor/{KEY}", params=query).status_code == 200
    assert desk.call("POST", f"/in/vendor/{KEY}", params=query).status_code == 200
    assert desk.call("GET", f"/in/plain/{OTHER_KEY}", params=query).status_code == 405
    assert {lead.contact.phone for lead in desk.leads()} == {"+34600000012"}


def test_a_browser_is_sent_only_to_a_host_of_the_list() -> None:
    desk = Desk({"web": {"keys": KEYS, "redirect_field": "retURL", "redirect_hosts": ["www.example.com"]}})
    for url, status in (("https://www.example.com/thanks", 302), ("https://evil.test/", 200)):
        answer = desk.call("POST", f"/in/web/{KEY}", data={"email": "ana@example.com", "retURL": url})
        assert answer.status_code == status
        assert answer.headers.get("location") == (url if status == 302 else None)
    assert "Gracias" in answer.text


@pytest.mark.parametrize("url", [
    "//www.example.com", "javascript:alert(1)", "https://www.example.com@evil.test/", "https://www.example.com.evil.test",
    "https:\\\\www.example.com", "https://www.example.com\r\nSet-Cookie: a=b", "ftp://www.example.com", "/here", "http://[",
    "https://evil.test/https://www.example.com", "https://wwẁ.example.com", "https://evil.test\\@www.example.com",
])  # fmt: skip
def test_no_other_address_is_taken_for_one_of_the_list(url: str) -> None:
    assert not allowed(url, ("www.example.com",))


def test_a_campaigns_result_is_on_its_topic() -> None:
    desk = Desk({"ads": {"keys": KEYS, "accepts": ["results"], "channel": "google"}})
    result = {"campaign": "spring", "day": "2026-02-28", "impressions": 1000, "clicks": "31", "spend": 12.346}
    assert desk.post("/v1/results", result, x_api_key=KEY).status_code == 200
    (message,) = desk.messages
    told = CampaignResult.model_validate_json(message.value or b"")
    assert (message.topic, message.key) == ("campaigns.results.v1", b"spring")
    assert (told.channel, told.day, told.impressions, told.clicks, told.spend) == (
        "google",
        "2026-02-28",
        1000,
        31,
        12.35,
    )
    for wrong in ({"day": "2026-02-30"}, {"spend": -1}, {"clicks": "many"}, {"campaign": None}):
        assert desk.post("/v1/results", {**result, **wrong}, x_api_key=KEY).status_code == 422


def test_who_looks_whether_the_address_answers_gets_200_and_other_methods_405() -> None:
    desk = Desk({"zap": {"keys": KEYS}})
    assert [desk.call(method, "/in/zap").status_code for method in ("GET", "HEAD")] == [200, 200]
    assert desk.call("HEAD", "/in/nobody").status_code == 401
    assert desk.call("PUT", f"/in/zap/{KEY}", content=b"{}").status_code == 405


def test_a_look_at_an_address_that_takes_leads_by_get_takes_none() -> None:
    desk = Desk({"shop": {"keys": KEYS, "query": True}})
    assert desk.call("HEAD", f"/in/shop/{KEY}?email=ana%40example.org").status_code == 200
    assert desk.leads() == []
    assert desk.call("GET", f"/in/shop/{KEY}?email=ana%40example.org").status_code == 200
    assert len(desk.leads()) == 1


def test_a_source_with_a_contract_gives_only_the_fields_it_may_and_each_lead_has_its_price() -> None:
    vendor = {"keys": KEYS, "allowed": ["email", "name"], "cost": "12.50", "currency": "USD", "test_field": "t"}
    desk = Desk({"vendor": vendor})
    desk.post(f"/in/vendor/{KEY}", {"email": "ana@example.com", "phone": "+34600000012", "income": "high", "t": "yes"})
    (lead,) = desk.leads()
    assert (lead.contact.email, lead.contact.phone, lead.answers) == ("ana@example.com", None, {})
    assert (lead.cost, lead.currency, lead.is_test) == (12.5, "USD", True)
