"""The HTTP side against a log that is a list: what is answered, and what is on the log when it is."""

import asyncio
import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from schemas import tokens
from schemas.events.leads import LeadReceived
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash
from services.intake import keys
from services.intake.app import build_app
from services.intake.readers import READERS
from services.intake.receive import Intake
from services.intake.rules import SourceRules
from services.intake.write_key import PATHS
from services.runtime.errors import Unavailable
from services.runtime.transport import Message
from services.runtime.verdict import Book

SECRET = "a secret of the tests, 32 letters"
KEY, PREFIX, DIGEST = keys.new_key()
CRM_KEY, CRM_PREFIX, CRM_DIGEST = keys.new_key()
RULES = SourceRules.model_validate({"sources": {
    "website": {"keys": [{"prefix": PREFIX, "sha256": DIGEST}], "required": ["email|phone"], "region": "ES"},
    "crm": {"keys": [{"prefix": CRM_PREFIX, "sha256": CRM_DIGEST}], "accepts": ["outcomes"], "destination": "north"},
}})  # fmt: skip
TOKEN = tokens.sign(SECRET, address_hash(SECRET, "email", "ana@example.com"), "email", "marketing")
LEAD = b'{"email": "ana@example.com"}'


class Log:
    """A gateway that keeps what it is given, or refuses everything."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ready = True

    async def publish(self, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        if not self.ready:
            raise Unavailable("the broker is away")
        self.messages += messages


class Desk:
    """The application and its log; each call is one request."""

    def __init__(self) -> None:
        self.log, self.now = Log(), datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.app = build_app(
            Intake(
                self.log,
                lambda: Book("sources-1", RULES),
                SECRET,
                lambda: self.now,
                lambda *_: (),
                "http://intake.example.com",
            )
        )

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://intake.example.com") as client:
                return await client.request(method, path, **request)

        return asyncio.run(run())

    def post(self, body: bytes, path: str = "/v1/leads", key: str = KEY, **headers: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.call("POST", path, content=body, headers=sent)

    def leads(self) -> list[LeadReceived]:
        return [
            LeadReceived.model_validate_json(m.value or b"")
            for m in self.log.messages
            if m.topic == "leads.received.v1"
        ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_lead_is_answered_with_its_id_and_is_on_the_log(desk: Desk) -> None:
    response = desk.post(LEAD)
    (lead,) = desk.leads()
    assert (response.status_code, response.json()) == (200, {"id": lead.cause_id, "status": "accepted"})
    headers = dict(desk.log.messages[0].headers)
    assert headers["ce_id"].decode() == lead.cause_id
    assert (desk.log.messages[0].key or b"").decode() == lead.identity


def test_lead_and_consent_of_one_submission_go_to_the_log_together(desk: Desk) -> None:
    desk.post(b'{"email": "ana@example.com", "consent": true}')
    assert [m.topic for m in desk.log.messages] == ["leads.received.v1", "consents.received.v1"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8"]
)
def test_a_form_is_a_lead(desk: Desk, content_type: str) -> None:
    response = desk.post(
        "correo=ana%40example.com&q[]=a&q[]=b&Teléfono=600+000+012".encode(), content_type=content_type
    )
    (lead,) = desk.leads()
    assert response.status_code == 200
    assert (lead.contact.email, lead.contact.phone, lead.answers) == (
        "ana@example.com",
        "+34600000012",
        {"q": "a, b"},
    )


def test_a_multipart_form_is_a_lead(desk: Desk) -> None:
    response = desk.call("POST", "/v1/leads", files={"email": (None, "ana@example.com"), "mensaje": (None, "sí")},
                         headers={"x-api-key": KEY})  # fmt: skip
    (lead,) = desk.leads()
    assert response.status_code == 200
    assert (lead.contact.email, lead.message) == ("ana@example.com", "sí")


@pytest.mark.parametrize("label", ["application/x-www-form-urlencoded", "text/plain", "nonsense"])
def test_json_with_a_wrong_label_is_read_all_the_same(desk: Desk, label: str) -> None:
    assert desk.post(LEAD, content_type=label).status_code == 200


def test_a_repeat_has_the_same_id(desk: Desk) -> None:
    assert desk.post(LEAD).json() == desk.post(LEAD).json()
    assert (
        desk.post(LEAD, idempotency_key="k1").json()
        == desk.post(b'{"phone": "600000012", "q": 1}', idempotency_key="k1").json()
    )


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"leads": items}])
def test_a_bad_item_does_not_fail_its_batch(desk: Desk, wrap: Any) -> None:
    items = [{"email": "ana@example.com"}, {"name": "nobody"}, 7, {"phone": "600000012"}, {"email": {}}]
    response = desk.post(json.dumps(wrap(items)).encode())
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["rejected"]) == (200, 2, 3)
    assert [r.get("error", {}).get("code") for r in answer["results"]] == [
        None, "required", "not_an_object", None, "wrong_type"]  # fmt: skip
    assert [r["id"] for r in answer["results"] if "id" in r] == [lead.cause_id for lead in desk.leads()]
    assert answer["results"][1]["error"]["field"] == "email"


def test_items_of_a_batch_with_a_key_have_different_ids_that_stay_on_a_repeat(desk: Desk) -> None:
    body = b'[{"email": "a@example.com"}, {"email": "a@example.com"}]'
    first, again = (desk.post(body, idempotency_key="k").json()["results"] for _ in range(2))
    assert first == again
    assert first[0]["id"] != first[1]["id"]


def test_a_bad_lead_is_told_every_fault_with_code_and_message(desk: Desk) -> None:
    response = desk.post(b'{"name": [], "message": "x"}')
    answer = response.json()
    assert response.status_code == 422
    assert answer["code"]
    assert answer["message"]
    assert [f["field"] for f in answer["fields"]] == ["name", "email"]
    assert all(f["code"] and f["message"] for f in answer["fields"])
    assert desk.log.messages == []


BAD: dict[str, tuple[bytes, int, str]] = {
    "empty body": (b"", 400, "empty_body"),
    "blank body": (b" \n", 400, "empty_body"),
    "number": (b"42", 422, "not_an_object"),
    "text": (b'"x"', 422, "not_an_object"),
    "null": (b"null", 422, "not_an_object"),
    "empty object": (b"{}", 422, "required"),
    "empty batch": (b"[]", 422, "empty_batch"),
    "cut off": (b'{"email": "ana', 400, "bad_json"),
    "broken UTF-8": (b'{"email": "\xff\xfe"}', 400, "bad_encoding"),
    "UTF-16": (json.dumps({"email": "ana@example.com"}).encode("utf-16"), 400, "bad_encoding"),
    "bare NUL": (b'{"email": "a\x00b"}', 400, "bad_json"),
    "NaN": (b'{"budget": NaN}', 400, "bad_json"),
    "depth 100,000": (b"[" * 100_000, 400, "bad_json"),
    "objects 100,000 deep": (b'{"a":' * 100_000, 400, "bad_json"),
    "number of 1 MB": (b'{"budget": ' + b"9" * 1_000_000 + b"}", 400, "bad_json"),
    "10 MB": (b'{"email": "' + b"x" * 10_000_000 + b'"}', 413, "too_large"),
    "300 kB in one lead": (b'{"email": "a@example.com", "message": "' + b"x" * 300_000 + b'"}', 413, "too_large"),
    "1,001 items": (b"[" + b",".join([b"1"] * 1001) + b"]", 413, "too_many"),
    "gzip": (b"\x1f\x8b\x08\x00rest", 400, "bad_gzip"),
    "XML": (b"<!DOCTYPE lead><lead/>", 400, "bad_xml"),
    "empty XML": (b"<lead/>", 422, "required"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_4xx_and_is_not_logged(desk: Desk, case: str) -> None:
    body, status, code = BAD[case]
    with capture_logs() as logs:
        response = desk.post(body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["message"]
    assert logs == []
    assert desk.log.messages == []
    assert desk.post(LEAD).status_code == 200


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [(b"email=%ff%fe", FORM, "bad_encoding"), (b"email=\xff", FORM, "bad_encoding"),
     (b"&".join(b"a%d=1" % i for i in range(600)), FORM, "too_many_fields"), (b"nothing", MULTIPART, "bad_form"),
     (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", MULTIPART, "bad_form"),
     (b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nMZ\r\n--b--\r\n', MULTIPART, "bad_form"),
     (b"x", "multipart/form-data", "bad_form")],
)  # fmt: skip
def test_a_bad_form_is_refused(desk: Desk, body: bytes, content_type: str, code: str) -> None:
    response = desk.post(body, content_type=content_type)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_nul_and_lone_surrogates_never_reach_a_field_and_the_text_as_sent_is_kept(desk: Desk) -> None:
    body = b'{"email": "ana@example.com", "message": "a\\u0000b", "x\\ud800": "\\ud83d", "name": "\\ud83d\\ude00"}'
    assert desk.post(body).status_code == 200
    assert desk.post(b"email=ana%40example.com&message=a%00b\x00", content_type=FORM).status_code == 200
    one, two = desk.leads()
    assert (one.message, two.message, one.contact.full_name) == ("ab", "ab", "\U0001f600")
    assert one.answers == {"x\ufffd": "\ufffd"}
    assert one.raw == body.decode()
    assert all(b"\\u0000" not in (m.value or b"").replace(b"\\\\u0000", b"") for m in desk.log.messages)


@pytest.mark.parametrize("path", ["/v1/leads", "/v1/activities", "/v1/consents", "/v1/outcomes"])
def test_without_a_valid_key_nothing_is_taken(desk: Desk, path: str) -> None:
    wrong = KEY[:-2] + ("aa" if KEY[-2:] != "aa" else "bb")
    for headers in (
        {},
        {"x-api-key": wrong},
        {"authorization": f"Bearer {keys.new_key()[0]}"},
        {"authorization": "Basic x"},
    ):
        response = desk.call("POST", f"{path}?key={KEY}", content=LEAD, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert desk.log.messages == []


def test_the_key_is_taken_from_basic_and_from_its_own_header(desk: Desk) -> None:
    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    for headers in ({"authorization": f"Basic {basic}"}, {"x-api-key": KEY}):
        assert desk.call("POST", "/v1/leads", content=LEAD, headers=headers).status_code == 200


def test_a_key_opens_only_what_its_source_may_send(desk: Desk) -> None:
    report = b'{"type": "lead.won", "lead_id": "l-1", "destination": "south"}'
    assert desk.post(LEAD, key=CRM_KEY).status_code == 403
    assert desk.post(report, "/v1/outcomes").status_code == 403
    assert desk.post(report, "/v1/outcomes", CRM_KEY).status_code == 200
    assert b'"destination":"north"' in (desk.log.messages[0].value or b"")


def test_activities_and_consents_come_in_batches_too(desk: Desk) -> None:
    activities = b'[{"email": "ana@example.com", "activity": "call"}, {"activity": "call"}]'
    assert desk.post(activities, "/v1/activities").json()["accepted"] == 1
    assert desk.post(b'{"email": "ana@example.com", "type": "withdrawn"}', "/v1/consents").status_code == 200
    assert [m.topic for m in desk.log.messages] == ["activities.received.v1", "consents.received.v1"]


@pytest.mark.parametrize("path", ["/v1/leads", f"/u/{TOKEN}"])
def test_without_acknowledgement_there_is_no_200_but_a_time_to_come_back(desk: Desk, path: str) -> None:
    desk.log.ready = False
    response = desk.post(LEAD, path)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert desk.call("GET", "/readyz").status_code == 503
    assert desk.call("GET", "/healthz").status_code == 200


def test_a_bug_is_answered_and_logged_without_what_was_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_messages: object) -> None:
        raise ZeroDivisionError("ana@example.com")

    monkeypatch.setattr(desk.log, "publish", broken)
    with capture_logs() as logs:
        response = desk.post(LEAD)
    assert (response.status_code, response.json()["code"]) == (500, "failed")
    assert [(entry["event"], entry["error"]) for entry in logs] == [("intake.failed", "ZeroDivisionError")]
    assert "ana@" not in json.dumps(logs)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/leads", 405), ("POST", "/v2/leads", 404), ("DELETE", f"/u/{TOKEN}", 405)],
)
def test_unknown_paths_and_methods_are_refused_in_json(desk: Desk, method: str, path: str, status: int) -> None:
    response = desk.call(method, path)
    assert response.status_code == status
    assert response.json().keys() == {"code", "message"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"List-Unsubscribe=One-Click", FORM), (b"", ""),
     (b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n', MULTIPART)],
)  # fmt: skip
def test_one_click_withdraws_without_key_or_look_up(desk: Desk, body: bytes, content_type: str) -> None:
    response = desk.call("POST", f"/u/{TOKEN}", content=body, headers={"content-type": content_type})
    assert (response.status_code, response.content) == (200, b"")
    (record,) = desk.log.messages
    event = ConsentReceived.model_validate_json(record.value or b"")
    assert dict(record.headers)["ce_type"] == b"consent.withdrawn"
    assert (event.address, event.channel, event.purpose) == (
        address_hash(SECRET, "email", "ana@example.com"), "email", "marketing")  # fmt: skip
    assert (record.key or b"").decode() == event.address


def test_a_withdrawal_repeated_at_once_is_the_same_event_and_a_later_one_counts_again(desk: Desk) -> None:
    for seconds in (0, 0, 40):
        desk.now += timedelta(seconds=seconds)
        assert desk.call("POST", f"/u/{TOKEN}").status_code == 200
    first, repeat, later = (dict(m.headers)["ce_id"] for m in desk.log.messages)
    assert first == repeat != later


def test_opening_the_link_only_asks(desk: Desk) -> None:
    english = desk.call("GET", f"/u/{TOKEN}")
    spanish = desk.call("GET", f"/u/{TOKEN}", headers={"accept-language": "fr, es-ES;q=0.8, en;q=0.5"})
    assert (english.status_code, spanish.status_code) == (200, 200)
    assert '<html lang="en">' in english.text
    assert "darme de baja" in spanish.text
    assert '<form method="post">' in english.text
    assert desk.log.messages == []


def test_a_person_who_confirms_is_told_so(desk: Desk) -> None:
    response = desk.call("POST", f"/u/{TOKEN}", headers={"accept": "text/html"})
    assert "not receive" in response.text


@pytest.mark.parametrize("token", ["x", TOKEN[:-4], "A" * 130, "%00", "A" * 5000, "é"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_link_is_unknown(desk: Desk, method: str, token: str) -> None:
    response = desk.call(method, f"/u/{token}")
    assert response.status_code == 404
    assert token not in response.text or token == "x"
    assert desk.log.messages == []


def test_metrics_name_the_source_and_outcome_and_nothing_that_was_sent(desk: Desk) -> None:
    desk.post(b'{"email": "metric@example.com"}')
    text = desk.call("GET", "/metrics").text
    assert 'caudal_intake_requests_total{outcome="200",source="website"}' in text
    assert "metric@" not in text


def test_the_description_names_every_path(desk: Desk) -> None:
    document = desk.call("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    own = {"/in/{source}", "/in/{source}/{key}", "/u/{token}"}
    assert set(document["paths"]) == {*(f"/v1/{name}" for name in READERS), *PATHS, *own}
