"""What an item is called: one thing told twice has one id, two things have two, whatever their sender calls them."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from standardwebhooks import Webhook

from services.intake.arrival import Accepted
from services.intake.files.items import Item as FileItem
from services.intake.files.items import of_adf
from services.intake.files.submissions import Terms, submission
from services.intake.sources.source import Source
from services.intake.submission import lead_of
from tests.unit.test_intake_deliver import KEY, KEYS, SECRET, Desk, ids
from tests.unit.test_intake_presets import desk_of, example_json, send
from tests.webhook_clients import adf, encoded, prospect

WHSEC = "whsec_Y2F1ZGFsLWV4YW1wbGUta2V5LTI0Ynl0"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA = {"email": "ana@example.com"}
REPORTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "consents": ({**ANA, "type": "given"}, {**ANA, "type": "withdrawn"}),
    "activities": ({**ANA, "activity": "page_view"}, {**ANA, "activity": "call"}),
    "outcomes": ({"type": "lead.accepted", "lead_id": "l-1"},
                 {"type": "lead.lost", "lead_id": "l-1", "reason": "price"}),
    "results": ({"campaign": "spring", "day": "2026-02-28", "clicks": 1},
                {"campaign": "spring", "day": "2026-02-28", "clicks": 2}),
}  # fmt: skip


def desk(**entry: Any) -> Desk:
    accepts = ["leads", "activities", "consents", "outcomes", "results"]
    return Desk({"place": {"keys": KEYS, "accepts": accepts, "destination": "crm", **entry}})


def test_two_reports_under_one_id_of_the_sender_are_two_and_the_same_one_again_is_one() -> None:
    for what, (first, second) in REPORTS.items():
        at = desk(id_field="lead_id" if what == "outcomes" else "id")
        for body in (first, second, first):
            given = body if what == "outcomes" else {"id": 7, **body}
            assert at.post(f"/v1/{what}", given, x_api_key=KEY).status_code == 200, what
        one, two, again = ids(at)
        assert one == again != two, what


@pytest.mark.parametrize("what", REPORTS)
def test_two_reports_under_one_idempotency_key_are_two_and_the_same_one_again_is_one(what: str) -> None:
    at, (first, second) = desk(), REPORTS[what]
    for body in (first, second, first):
        assert at.post(f"/v1/{what}", body, x_api_key=KEY, idempotency_key="k").status_code == 200
    one, two, again = ids(at)
    assert one == again != two


@pytest.mark.parametrize("path", [f"/in/place/{KEY}", "/v1/leads"])
def test_ids_alike_in_their_first_thousand_letters_are_two_leads(path: str) -> None:
    at = desk(id_field="id")
    for end in ("a", "b", "a"):
        assert at.post(path, {**ANA, "id": "x" * 1000 + end}, x_api_key=KEY).status_code == 200
    one, two, again = ids(at)
    assert one == again != two
    assert len(at.leads()[0].source_key or "") == 64


def test_names_of_requests_alike_in_their_first_thousand_letters_are_two() -> None:
    at = desk()
    for end in ("a", "b", "a"):
        assert at.post(f"/in/place/{KEY}", ANA, idempotency_key="x" * 1000 + end).status_code == 200
    one, two, again = ids(at)
    assert one == again != two


def test_a_signed_request_is_called_by_what_its_signature_covers_alone() -> None:
    at = Desk({"place": {"preset": "standard-webhooks"}}, {"place": [WHSEC]})
    body = json.dumps({"data": ANA}).encode()
    for name in ("msg_1", "msg_2"):
        sign = Webhook(WHSEC).sign(name, at.now, body.decode())
        signed = {"webhook-id": name, "webhook-timestamp": str(int(at.now.timestamp())), "webhook-signature": sign}
        for more in ({}, {"idempotency_key": "x"}, {"idempotency_key": "y", "svix_id": "z"}):
            assert at.post("/in/place", body, **signed, **more).status_code == 200
    assert ids(at) == [ids(at)[0]] * 3 + [ids(at)[3]] * 3
    assert len(set(ids(at))) == 2


def test_an_unsigned_name_of_a_request_counts_nothing_beside_a_signature_that_leaves_it_out() -> None:
    at = Desk({"place": {"signature": {"scheme": "body-field", "field": "key"}}}, {"place": ["s3cr3t"]})
    for name in ("x", "y"):
        assert at.post("/in/place", {**ANA, "key": "s3cr3t"}, idempotency_key=name).status_code == 200
    assert len(set(ids(at))) == 1


@pytest.mark.parametrize("path", [f"/in/place/{KEY}", "/v1/leads"])
def test_who_leaves_a_refused_item_out_of_a_batch_sends_the_others_as_the_same(path: str) -> None:
    at = desk(required=["email"])
    bad, good, other = {"name": "x"}, ANA, {"email": "eva@example.com"}
    for batch in ([bad, good, other, good], [good, other, good]):
        assert at.post(path, batch, x_api_key=KEY, idempotency_key="b").status_code == 200
    found = ids(at)
    assert found[:3] == found[3:]
    assert len(set(found)) == 3
    at.post(path, [good], x_api_key=KEY, idempotency_key="another")
    assert ids(at)[-1] not in found


def hashes(at: Desk) -> set[str]:
    assert len(ids(at)) == 2
    assert len(set(ids(at))) == 1
    return {lead.body_hash or "" for lead in at.leads()}


def test_typeform_telling_a_response_again_under_another_event_tells_the_same() -> None:
    at = desk_of("typeform")
    for event in ("e-1", "e-2"):
        body = json.dumps(example_json("typeform") | {"event_id": event}).encode()
        assert send(at, "typeform", body).status_code == 200
    assert len(hashes(at)) == 1
    other = example_json("typeform")
    other["form_response"]["answers"] = []
    assert send(at, "typeform", json.dumps(other).encode()).status_code == 200
    assert at.leads()[-1].body_hash not in {lead.body_hash for lead in at.leads()[:-1]}


@pytest.mark.parametrize("inner", [True, False])
def test_mail_that_mailgun_sends_again_with_another_token_is_the_same(inner: bool) -> None:
    at = Desk({"place": {"keys": KEYS, "preset": "mailgun", "signature": None}})
    for token in ("a", "b"):
        proof = {"timestamp": f"17{token}", "token": token, "signature": f"s{token}"}
        mail = {"from": "Ana <ana@example.com>", "Message-Id": "<1@example.com>", "stripped-text": "Hello"}
        at.post(f"/in/place/{KEY}", {**mail, **({"signature": proof} if inner else proof)})
    assert len(hashes(at)) == 1


def test_a_structured_cloudevent_of_another_trace_is_the_same() -> None:
    at = Desk({"place": {"keys": KEYS, "preset": "cloudevents"}})
    event = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "x.lead", "data": ANA}
    for trace in ("a", "b"):
        body = json.dumps({**event, "traceparent": trace, "tracestate": trace}).encode()
        at.post(f"/in/place/{KEY}", body, content_type="application/cloudevents+json")
    assert len(hashes(at)) == 1


def test_a_prospect_of_a_file_that_is_sent_again_is_the_same_there_and_by_http() -> None:
    source, found = Source(name="place"), []
    for status, date in (("new", "2026-03-01"), ("resend", "2026-03-03")):
        (item,) = of_adf(encoded(adf(prospect("1", status=status, date=date))), "utf-8")
        assert isinstance(item, FileItem)
        result = submission(item, 0, Terms(source, "leads", "list", {}, {}, SECRET), NOW)
        assert isinstance(result, Accepted)
        found.append((result.id, lead_of(result.events[0]).body_hash))
    at = Desk({"place": {"preset": "adf", "keys": KEYS}})
    at.post(f"/in/place/{KEY}", encoded(adf(prospect("1"))))
    assert {*found} == {(ids(at)[0], at.leads()[0].body_hash)}


def test_a_query_strings_repeated_parameter_keeps_every_value_and_two_such_are_two_leads() -> None:
    at = desk(query=True)
    for query in ("interest=roof&interest=wall", "interest=door&interest=wall"):
        assert at.call("GET", f"/in/place/{KEY}?email=ana@example.com&{query}").status_code == 200
    first, _ = at.leads()
    assert first.raw == "email=ana%40example.com&interest=roof&interest=wall"
    assert "roof" in first.answers["interest"]
    assert "wall" in first.answers["interest"]
    assert len(set(ids(at))) == 2


def test_what_a_contract_does_not_let_us_keep_stands_nowhere_in_the_lead() -> None:
    at = desk(allowed=["email", "name"])
    for income in ("high", "low"):
        sent = {**ANA, "name": "Ana", "income": income, "phone": "+34600000012"}
        assert at.post(f"/in/place/{KEY}", sent, idempotency_key=income).status_code == 200
    first, second = at.leads()
    assert json.loads(first.raw or "") == {**ANA, "name": "Ana"}
    assert first.body_hash != second.body_hash  # of what was sent


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("secret", ["s3cr3t", "a+b/c=d", 'say "é" & go'])
def test_a_key_that_stands_in_a_body_is_not_kept_however_it_is_written(form: bool, secret: str) -> None:
    at = Desk({"place": {"signature": {"scheme": "body-field", "field": "key"}}}, {"place": [secret]})
    sent = {**ANA, "key": secret}
    body = urlencode(sent) if form else json.dumps(sent).replace("/", "\\/")
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    assert at.post("/in/place", body.encode(), content_type=kind).status_code == 200
    (lead,) = at.leads()
    kept = dict(parse_qsl(lead.raw)) if form else json.loads(lead.raw or "")
    assert kept == {**ANA, "key": "***"}
    assert secret not in lead.model_dump_json()


def test_an_activity_that_its_protocol_names_is_one_whatever_else_changed_when_it_was_sent_again() -> None:
    at = Desk({"place": {"keys": KEYS, "preset": "segment"}})
    for second in (1, 2):
        when = f"2026-03-01T11:00:0{second}Z"
        told = {"type": "track", "event": "Seen", "messageId": "m-1", "userId": "u", "timestamp": when}
        assert at.post(f"/in/place/{KEY}", {"batch": [told]}).status_code == 200
    assert len(ids(at)) == 2
    assert len(set(ids(at))) == 1
    at.sources = {"place": {"keys": KEYS, "preset": "cloudevents", "lead_events": ["x.lead"], "id_field": "n"}}
    seen = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "x.seen"}
    for data in ({"text": "a"}, {"text": "b"}, {"text": "a", "n": 7}, {"text": "b", "n": 7}):
        body = json.dumps({**seen, "subject": "u", "data": data}).encode()
        at.post(f"/in/place/{KEY}", body, content_type="application/cloudevents+json")
    assert len(ids(at)[2:]) == 4
    assert len(set(ids(at)[2:])) == 3
