"""What an item is called: one thing told twice has one id, two things have two, whatever their sender calls them."""

import json
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.unit.test_intake_deliver import KEY, KEYS, Desk, ids

WHSEC = "whsec_Y2F1ZGFsLWV4YW1wbGUta2V5LTI0Ynl0"
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
    sign = Webhook(WHSEC).sign("msg_1", at.now, body.decode())
    signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.now.timestamp())), "webhook-signature": sign}
    for more in ({}, {"idempotency_key": "x"}, {"idempotency_key": "y", "svix_id": "z"}):
        assert at.post("/in/place", body, **signed, **more).status_code == 200
    assert len(ids(at)) == 3
    assert len(set(ids(at))) == 1


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
