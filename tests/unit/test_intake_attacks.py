"""Attacks on intake that need no network: what strangers write changes nothing but the text of their own lead."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from schemas.events.leads import LeadReceived
from services.intake import normalise, quality
from services.intake.parse import MOST_KEYS
from tests.unit.test_intake_app import FORM
from tests.unit.test_intake_app import Desk as Front
from tests.unit.test_intake_deliver import KEY as PATH_KEY
from tests.unit.test_intake_deliver import KEYS, Desk
from tests.webhook_clients import SECRET as WEBHOOK_SECRET
from tests.webhook_clients import signed

EVIL = "\x1b[31mred\r\nINFO forged=1\u2028\u202e ${jndi:ldap://x} %n%s {0.__class__} {{7*7}} <script>"
SQL = "Robert'); DROP TABLE lead;-- \" OR ''='"


def only(found: list[LeadReceived]) -> LeadReceived:
    (lead,) = found
    return lead


OURS = {
    "source": "other", "identity": "x", "cause_id": "x", "correlation_id": "x", "version": 9, "raw": "x",
    "origin_type": "seed", "cost": 0.01, "currency": "XXX", "email_quality": "invalid", "phone_quality": "ok",
    "name_quality": "ok", "body_hash": "x", "recorded_at": "2001-01-01T00:00:00Z", "source_key": "x",
}  # fmt: skip
THEIRS = {
    "score": 100, "warmth": "hot", "status": "won", "stage": "won", "owner": "rep-1", "assigned_to": "rep-1",
    "destination": "north", "tenant_id": "b", "is_customer": True, "is_admin": True, "end_state": "opened",
    "lead_id": "x", "person_id": "x", "consent_state": "given", "suppressed": False, "__proto__": {"a": 1}, "id": "x",
}  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/leads", f"/in/zap/{PATH_KEY}"])
def test_what_is_ours_to_say_is_not_taken_from_outside(path: str) -> None:
    lead = {"email": "ana@example.com", "name": "asdf"}
    desk, plain = Desk({"zap": {"keys": KEYS}}), Desk({"zap": {"keys": KEYS}})
    for at, content in ((plain, lead), (desk, lead | OURS | THEIRS)):
        assert at.post(path, content, x_api_key=PATH_KEY, idempotency_key="k").status_code == 200
    theirs = {"answers": ..., "raw": ..., "body_hash": ...}
    assert only(desk.leads()).model_dump(exclude=theirs.keys()) == only(plain.leads()).model_dump(exclude=theirs.keys())
    assert only(desk.leads()).raw != "x"
    assert not only(desk.leads()).consents


@pytest.mark.parametrize("text", [SQL, EVIL, "{{ 7*7 }}", "=cmd|' /C calc'!A0", "../../etc/passwd", "'; --"])
def test_every_field_keeps_what_was_written_and_the_log_says_none_of_it(text: str) -> None:
    front = Front()
    fields = ("name", "message", "city", "product", "campaign", "referrer", text[:40])
    with capture_logs() as logs:
        answer = front.post(json.dumps(dict.fromkeys(fields, text) | {"phone": "600000012"}).encode())
    assert answer.status_code == 200
    lead = only(front.leads())
    kept = (lead.contact.full_name, lead.message, lead.contact.city, lead.product, lead.origin.campaign)
    assert (*kept, lead.origin.referrer, lead.answers) == (text,) * 6 + ({text[:40]: text},)
    assert logs == []


@pytest.mark.parametrize("header", ["x_http_method_override", "x_http_method", "x_method_override"])
def test_a_method_is_what_the_request_line_says(header: str) -> None:
    front, desk = Front(), Desk({"zap": {"keys": KEYS}})
    assert front.post(b'{"email": "a@example.com"}', **{header: "DELETE"}).status_code == 200
    assert front.call("GET", "/v1/leads?_method=POST", headers={header.replace("_", "-"): "POST"}).status_code == 405
    assert desk.call("PUT", f"/in/zap/{PATH_KEY}", headers={header.replace("_", "-"): "POST"}).status_code == 405
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "HEAD", "BREW"):
        assert desk.call(method, f"/in/zap/{PATH_KEY}?_method=POST").status_code == 405
    assert (len(front.log.messages), desk.messages) == (1, [])


def test_of_an_address_that_comes_twice_none_is_hidden() -> None:
    desk = Desk({"zap": {"keys": KEYS, "query": True}})
    assert desk.call("GET", f"/in/zap/{PATH_KEY}?email=a@example.com&email=b@example.com").status_code == 200
    lead = only(desk.leads())
    assert (lead.contact.email, lead.answers) == ("a@example.com", {"email 2": "b@example.com"})
    answer = Front().post(b"email=a%40example.com&email=b%40example.com", content_type=FORM)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_type")


def test_a_header_that_comes_twice_proves_nothing() -> None:
    desk = Desk({"form": {"signature": {"scheme": "meta"}}}, {"form": [WEBHOOK_SECRET]})
    body = b'{"email": "a@example.com"}'
    ((name, good),) = signed("meta", body, desk.now, "").items()
    for values, status in (([good], 200), ([good, "x"], 401), (["x", good], 401), ([good, good], 401)):
        headers = [(name, value) for value in values]
        assert desk.call("POST", "/in/form", content=body, headers=headers).status_code == status


@pytest.mark.parametrize("unit", ["a@", "a.", "+", "1-", "(", " ", "ñ", "\u0660", "x" * 64 + "@", "-.", "%40", ")("])
def test_a_long_text_in_email_phone_or_name_is_cut_before_it_is_looked_at(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What bounds the time of every pattern is the length that it gets: none sees more than 320 letters."""
    seen: list[int] = []
    parse = normalise.phonenumbers.parse

    class Watched:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern

        def fullmatch(self, written: str) -> re.Match[str] | None:
            seen.append(len(written))
            return self.pattern.fullmatch(written)

        def search(self, written: str) -> re.Match[str] | None:
            seen.append(len(written))
            return self.pattern.search(written)

    monkeypatch.setattr(normalise, "_EMAIL", Watched(normalise._EMAIL))
    monkeypatch.setattr(quality, "_ADDRESS", Watched(quality._ADDRESS))
    quality.name_quality.cache_clear()
    monkeypatch.setattr(normalise.phonenumbers, "parse", lambda w, r: (seen.append(len(w)), parse(w, r))[1])
    normalise._phone.cache_clear()
    long = unit * (200_000 // len(unit.encode()) // 3)
    sent = json.dumps({"email": long, "phone": long, "name": "a" + long}, ensure_ascii=False).encode()
    assert Desk({"zap": {"keys": KEYS}}).post(f"/in/zap/{PATH_KEY}", sent).status_code == 200
    assert len(seen) == (1 if unit.isspace() else 2)  # of the address none: it is too long to be one
    assert max(seen) <= 320


def flat(keys: int) -> dict[str, int]:
    return {f"k{n}": 1 for n in range(keys)}


def deep(keys: int) -> dict[str, Any]:
    return {"a": [{"b": flat(keys - 2)}]}


@pytest.mark.parametrize("shape", [flat, deep])
@pytest.mark.parametrize("path", ["/v1/leads", f"/in/zap/{PATH_KEY}"])
def test_an_item_has_at_most_2000_fields_and_one_with_more_costs_only_itself(path: str, shape: Any) -> None:
    desk = Desk({"zap": {"keys": KEYS}})
    answer = desk.post(path, [shape(MOST_KEYS), shape(MOST_KEYS + 1), {"email": "a@example.com"}], x_api_key=PATH_KEY)
    assert [r.get("error", {}).get("code") for r in answer.json()["results"]] == [None, "too_many_fields", None]


@pytest.mark.parametrize("path", ["/v1/leads", f"/in/zap/{PATH_KEY}", "/v1/batch"])
def test_a_body_of_half_a_million_fields_is_refused_before_it_is_read(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.intake.parse.from_json", None)  # nobody reads it
    sent = b'{"a": {' + b",".join(b'"%d":1' % n for n in range(500_000)) + b"}}"
    answer = Desk({"zap": {"keys": KEYS}}).post(path, sent, x_api_key=PATH_KEY)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_fields")


PATHS = [
    "/in/x%0d%0aINFO/y",
    "/in/" + "a" * 5000,
    "/in/plain",
    "/v1/%1b[31m",
    "/v1/plain",
    "/in/%00",
    "/in/../v1/leads",
    "/\u202e",
    "/v1/leads/",
    "/plain",
]
NAMELESS = re.compile(r'caudal_intake_\w+\{(?:outcome="4\d\d",|le="[^"]*",)?source="(?:unknown|zap)"\}')


def series(desk: Desk) -> set[str]:
    """Every series of metrics by its name and labels."""
    lines = desk.call("GET", "/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_a_stranger_is_logged_or_counted_by_its_name(path: str) -> None:
    desk = Desk({"zap": {"keys": KEYS}})
    before = series(desk)
    with capture_logs() as logs:
        for method in ("POST", "GET", "BREW"):
            answer = desk.call(method, path, json={"email": "a@example.com"}, headers={"x-api-key": "cdl_plain"})
            assert answer.status_code in (401, 404, 405)
    assert logs == []
    assert [one for one in series(desk) - before if not NAMELESS.fullmatch(one)] == []


def test_any_number_of_strangers_make_no_series_of_metrics_each() -> None:
    desk = Desk({"zap": {"keys": KEYS}})
    before = series(desk)
    for n in range(40):
        desk.now += timedelta(seconds=3 * (n < 20))  # the first 20 are heard, of the others some are too many
        for path in (f"/in/stranger{n}/{PATH_KEY}", "/v1/leads", "/v1/track", f"/stranger{n}", f"/v1/stranger{n}"):
            desk.post(path, {"writeKey": f"cdl_{n}"}, x_api_key=f"cdl_{n}")
        for path in ("/v1/leads", "/in/zap"):
            desk.call(f"STRANGE{n}", path)
    assert [one for one in series(desk) - before if not NAMELESS.fullmatch(one)] == []


def test_a_key_in_the_path_is_in_no_log_answer_or_record_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk({"zap": {"keys": KEYS}})
    secret, texts = PATH_KEY[13:], []
    with capture_logs() as logs:
        texts.append(desk.post(f"/in/zap/{PATH_KEY}", {"email": "a@example.com"}).text)
        texts.append(desk.post(f"/in/zap/{PATH_KEY}x", {}).text)
        texts.append(desk.post(f"/in/zap/{PATH_KEY}", b"{").text)
        monkeypatch.setattr("services.intake.deliver.published", None)  # a bug
        texts.append(desk.post(f"/in/zap/{PATH_KEY}", {"email": "a@example.com"}).text)
    texts += [str(logs), *(str(m) for m in desk.messages), desk.call("GET", "/metrics").text]
    assert [line["event"] for line in logs] == ["intake.failed"]
    assert not any(secret in text or PATH_KEY in text for text in texts)
