"""Platforms that have protocols of their own: handshakes, notices, bookings, subscribers, car leads."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from schemas.events.activities import ActivityReceived
from schemas.events.leads import LeadNotified
from schemas.events.operations import DeadLetter
from schemas.events.people import ConsentReceived
from schemas.identity import identity_hash
from services.intake.rules import SourceRules
from services.intake.sources.examples import example_of
from services.intake.sources.presets import presets
from services.intake.sources.protocols import PROTOCOLS
from services.runtime.errors import Unavailable
from services.runtime.transport import Message
from tests.unit.test_intake_deliver import KEY, KEYS, SECRET, URL, Desk, ids
from tests.webhook_clients import (
    INVITEE,
    SUBSCRIBER,
    Body,
    adf,
    calendly,
    encoded,
    hubspot,
    linkedin,
    mailchimp,
    meta,
    prospect,
    signed,
)
from tests.webhook_clients import SECRET as SIGNING

SIGNED = ("meta", "linkedin", "hubspot", "calendly")
SENT: dict[str, Body] = {
    "meta": meta("1459"), "linkedin": linkedin(), "hubspot": [hubspot()], "calendly": calendly(),
    "mailchimp": mailchimp(**SUBSCRIBER), "adf": adf(prospect()),
}  # fmt: skip
CODE = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
TOPICS = {
    "leads.notified.v1": LeadNotified,
    "activities.received.v1": ActivityReceived,
    "consents.received.v1": ConsentReceived,
}


class AwayDesk(Desk):
    async def publish(self, messages: Sequence[Message]) -> None:
        raise Unavailable("the broker is away")


def desk(preset: str, cls: type[Desk] = Desk, **source: Any) -> Desk:
    keys = {} if preset in SIGNED else {"keys": KEYS}
    secrets = {"place": ["new secret", SIGNING], "place/verify": ["older token", "a token"]}
    return cls({"place": {"preset": preset, **keys, **source}}, secrets)


def send(at: Desk, body: Body, **headers: str) -> httpx.Response:
    preset, content = at.sources["place"]["preset"], encoded(body)
    path = "/in/place" if preset in SIGNED else f"/in/place/{KEY}"
    return at.post(path, content, **{**signed(preset, content, at.now, URL + path), **headers})


def told(at: Desk, topic: str) -> list[Any]:
    return [TOPICS[topic].model_validate_json(m.value or b"") for m in at.messages if m.topic == topic]


def notices(at: Desk) -> list[tuple[str, str]]:
    return [(n.notice_id, n.action) for n in told(at, "leads.notified.v1")]


def kinds(at: Desk) -> list[str]:
    return [dict(m.headers)["ce_type"].decode() for m in at.messages]


def test_every_preset_names_a_protocol_that_there_is() -> None:
    assert {preset.source.get("protocol", "plain") for preset in presets().values()} <= PROTOCOLS.keys()


def test_a_book_with_a_protocol_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such protocol: mata; the protocols are"):
        SourceRules.model_validate({"sources": {"place": {"protocol": "mata"}}})


@pytest.mark.parametrize("preset", SENT)
def test_a_delivery_sent_again_on_another_day_is_answered_200_with_the_ids_of_the_first(preset: str) -> None:
    at = desk(preset)
    assert send(at, SENT[preset]).status_code == 200
    first = ids(at)
    at.now += timedelta(days=2)
    assert send(at, SENT[preset]).status_code == 200
    assert ids(at) == first * 2
    assert first


@pytest.mark.parametrize("preset", SENT)
def test_the_example_of_a_preset_is_taken_as_it_is_and_told_in_two_languages(preset: str) -> None:
    at, example = desk(preset), example_of(preset)
    assert example is not None
    assert presets()[preset].how_es
    assert send(at, example.body, content_type=example.content_type).status_code == 200
    assert kinds(at)[0] == ("lead.received" if preset in ("calendly", "mailchimp", "adf") else "lead.notified")
    assert {lead.contact.email for lead in at.leads()} <= {"ana@example.org"}


@pytest.mark.parametrize("preset", SENT)
def test_with_the_broker_away_nothing_is_acknowledged(preset: str) -> None:
    answer = send(desk(preset, AwayDesk), SENT[preset])
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("preset", SIGNED)
def test_a_delivery_that_is_not_signed_as_it_is_sent_is_refused(preset: str) -> None:
    at, body = desk(preset), encoded(SENT[preset])
    (name, good), *others = signed(preset, body, at.now, f"{URL}/in/place").items()
    wrong = [good[:-1], good[:-1] + ("0" if good[-1] != "0" else "1"), good.swapcase(), "", f"{good},{good}"]
    for given in wrong:
        assert at.call("POST", "/in/place", content=body, headers=[(name, given), *others]).status_code == 401, given
    assert at.call("POST", "/in/place", content=body).status_code == 401
    assert at.call("POST", "/in/place", content=body + b" ", headers=[(name, good), *others]).status_code == 401
    assert at.call("POST", "/in/place", content=body, headers=[(name, good)] * 2 + others).status_code == 401
    assert at.messages == []
    assert at.call("POST", "/in/place", content=body, headers=[(name, good), *others]).status_code == 200


@pytest.mark.parametrize(("preset", "seconds", "status"), [
    ("hubspot", -299, 200), ("hubspot", -301, 401), ("hubspot", 301, 401), ("calendly", -299, 200),
    ("calendly", -301, 401), ("calendly", 301, 401), ("meta", -9999, 200), ("linkedin", -9999, 200),
])  # fmt: skip
def test_a_signed_time_counts_five_minutes_both_ways(preset: str, seconds: int, status: int) -> None:
    at, body = desk(preset), encoded(SENT[preset])
    headers = signed(preset, body, at.now + timedelta(seconds=seconds), f"{URL}/in/place")
    assert at.call("POST", "/in/place", content=body, headers=headers).status_code == status


@pytest.mark.parametrize("preset", SENT)
def test_bytes_that_are_no_notification_are_refused_and_harm_nobody(preset: str) -> None:
    at = desk(preset)
    for body in (b"", b"7", b"null", b'"x"', b"[]", b"{}", b"[[[]]]", b"{" * 999, b"\x00", b"\xff\xfe", b"<adf>"):
        answer = send(at, body)
        assert answer.status_code in (200, 400, 422), body
        assert answer.status_code != 200 or answer.json()["accepted"] == 0
    assert {m.topic for m in at.messages} <= {"deadletters.v1"}


@pytest.mark.parametrize(("preset", "body"), [
    ("meta", {"entry": [{"changes": [*meta(1)["entry"][0]["changes"], {"field": "leadgen"}]}]}),
    ("linkedin", [linkedin(), linkedin(action="MOVED")]), ("hubspot", [hubspot(), hubspot(None)]),
    ("calendly", calendly(uri=None)), ("mailchimp", mailchimp("cleaned", email="none")),
])  # fmt: skip
def test_what_is_refused_and_never_looked_at_again_by_its_sender_is_one_dead_letter(preset: str, body: Body) -> None:
    at = desk(preset)
    for _ in range(2):
        at.now += timedelta(days=1)
        assert send(at, body).status_code == 200
    dead = [m for m in at.messages if m.topic == "deadletters.v1"]
    assert len({dict(m.headers)["ce_id"] for m in dead}) == 1
    told_of = DeadLetter.model_validate_json(dead[0].value or b"")
    assert base64.b64decode(told_of.raw_value or "") == encoded(body)
    assert (told_of.topic, told_of.service, dead[0].key) == ("/in/place", "intake", None)
    assert told_of.detail.startswith("item 1: " if preset in ("meta", "linkedin", "hubspot") else "item 0: ")


def test_a_refused_delivery_of_any_size_fits_a_dead_letter() -> None:
    at = desk("linkedin")
    assert send(at, [{**linkedin(), "leadAction": "x" * 8000}] * 900).json()["rejected"] == 900
    (message,) = at.messages
    told_of = DeadLetter.model_validate_json(message.value or b"")
    assert (told_of.truncated, len(message.value or b"") < 400_000) == (True, True)
    kept = base64.b64decode(told_of.raw_value or "").split(b"\n")
    assert told_of.detail.startswith(f"{len(kept)} of 900 refused items are kept: item 0: ")
    assert len(kept) == 31
    assert json.loads(kept[-1])["leadAction"] == "x" * 8000


def test_of_a_large_delivery_the_letter_keeps_what_was_refused_wherever_it_stood() -> None:
    at = Desk({"place": {"preset": "segment", "keys": KEYS}})
    good = {"type": "track", "event": "seen", "anonymousId": "a", "properties": {"text": "x" * 5000}}
    bad = [{"type": "nothing", "n": 1, "writeKey": KEY}, {"type": "track", "n": 2, "writeKey": KEY, "key": KEY}, 7]
    body = {"batch": [*[good] * 90, *bad, {"type": "nothing", "text": "y" * 70_000}], "writeKey": KEY}
    assert at.post(f"/in/place/{KEY}", encoded(body)).status_code == 200
    (message,) = [m for m in at.messages if m.topic == "deadletters.v1"]
    told_of = DeadLetter.model_validate_json(message.value or b"")
    kept = base64.b64decode(told_of.raw_value or "").split(b"\n")
    assert [json.loads(one).get("n") for one in kept[:2]] == [1, 2]
    assert (kept[2], len(kept[3]), len(kept)) == (b"7", 65_536, 4)
    assert KEY.rpartition("_")[2].encode() not in b"".join(kept)
    assert told_of.detail.startswith("4 of 4 refused items are kept: item 90: ")


# Meta


@pytest.mark.parametrize("cls", [Desk, AwayDesk])
def test_meta_gets_its_challenge_back_as_it_came_with_the_broker_away_too(cls: type[Desk]) -> None:
    for token in ("a token", "older token"):
        query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "<b>11582&1 %"}
        answer = desk("meta", cls).call("GET", "/in/place", params=query)
        assert (answer.status_code, answer.text) == (200, "<b>11582&1 %")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("change", [
    {"hub.verify_token": "another"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}, {"hub.mode": ""},
    {"hub.verify_token": SIGNING}, {"hub.verify_token": "ä\ud800"},
])  # fmt: skip
def test_meta_gets_403_for_a_wrong_token(change: dict[str, str]) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "a token", "hub.challenge": "1158201444", **change}
    answer = desk("meta").call("GET", "/in/place?" + urlencode(query, errors="surrogatepass"))
    assert answer.status_code == 403
    assert "1158201444" not in answer.text


def test_meta_without_a_verify_secret_lets_nobody_in_and_a_look_is_answered() -> None:
    at = desk("meta")
    at.secrets = {"place": [SIGNING]}
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
    assert at.call("GET", "/in/place", params=query).status_code == 403
    assert at.call("GET", "/in/place").content == b""


def test_every_leadgen_change_of_every_entry_is_a_notice_and_a_bad_one_is_named() -> None:
    at = desk("meta")
    body = meta("1", 2**60 + 1)
    body["entry"][0]["changes"][1:1] = [{"field": "feed", "value": {"leadgen_id": "9"}}, {"field": "leadgen"}, 7]
    body["entry"] += [{"id": "2"}, None, {"id": 4321, "changes": [{"field": "leadgen", "value": {"leadgen_id": 4.5}}]}]
    body["entry"] += meta("3")["entry"]
    answer = send(at, body)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 3, 4)
    assert notices(at) == [("1", "created"), (str(2**60 + 1), "created"), ("3", "created")]
    faults = [line["error"]["field"] for line in answer.json()["results"] if "error" in line]
    assert faults == ["entry.0.changes.2.value", "entry.0.changes.3", "entry.2", "notice_id"]


def test_a_notice_of_meta_says_form_page_and_time_and_an_id_as_number_is_the_same_as_text() -> None:
    at = desk("meta")
    send(at, meta("1459", adgroup_id=88, secret_of_the_future={"x": 1}, notice_id="7", action="deleted"))
    send(at, meta(1459))
    first, _ = told(at, "leads.notified.v1")
    assert first.details == {"form_id": "1616", "page_id": "1345", "ad_id": "77", "adgroup_id": "88"}
    assert first.occurred_at.isoformat() == "2025-09-25T10:05:28+00:00"
    assert (first.notice_id, first.action) == ("1459", "created")
    assert len(set(ids(at))) == 1


# LinkedIn


@pytest.mark.parametrize("cls", [Desk, AwayDesk])
def test_linkedin_gets_its_challenge_signed_with_the_newest_secret(cls: type[Desk]) -> None:
    at = desk("linkedin", cls)
    at.secrets = {"place": [SIGNING, "old secret"]}
    answer = at.call("GET", "/in/place", params={"challengeCode": CODE, "applicationId": "17"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "challengeCode": CODE,
        "challengeResponse": "63c7a919bedbaacb240b7f164b53ceec3659f89f076bdd25f84469154bedb6e8",
    }


def test_nobody_gets_a_delivery_signed_by_calling_it_a_challenge() -> None:
    forged = "hmacsha256=" + json.dumps(linkedin())
    for code in (forged, "", "x", CODE + "0", CODE + "\n", f" {CODE}", CODE.replace("-", "")):
        answer = desk("linkedin").call("GET", "/in/place", params={"challengeCode": code})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_challenge")


def test_linkedin_without_a_secret_hears_that_it_is_not_configured() -> None:
    at = desk("linkedin")
    at.secrets = {}
    assert at.call("GET", "/in/place", params={"challengeCode": CODE}).status_code == 503


def test_created_and_deleted_are_notices_of_one_lead_in_either_order() -> None:
    for actions in (("CREATED", "DELETED"), ("DELETED", "CREATED")):
        at = desk("linkedin")
        for action in actions:
            assert send(at, linkedin(action=action)).json()["accepted"] == 1
        assert notices(at) == [("urn:li:leadGenFormResponse:5a1b-7", action.lower()) for action in actions]
        assert len({n.correlation_id for n in told(at, "leads.notified.v1")}) == 1
        assert len(set(ids(at))) == 2


def test_linkedin_may_send_a_list_with_a_bad_one_and_others_in_it() -> None:
    at = desk("linkedin")
    body = [linkedin("1"), {"type": "ORGANIZATION_SOCIAL_ACTION"}, linkedin("x y"), linkedin(action="MOVED"), 7]
    answer = send(at, [*body, linkedin("2", unknown=[1])])
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 2, 3)
    details = told(at, "leads.notified.v1")[0].details
    assert (details["owner"], details["lead_type"]) == ("urn:li:sponsoredAccount:520", "SPONSORED")


# HubSpot


def test_creations_and_privacy_deletions_are_notices_and_other_events_are_passed_over() -> None:
    at = desk("hubspot")
    body = [hubspot(51), hubspot(2**60 + 1, "contact.privacyDeletion"), hubspot(52, "contact.propertyChange"),
            hubspot(53, "deal.creation"), hubspot(54, "contact.deletion"), 7, hubspot(None), hubspot("55")]  # fmt: skip
    answer = send(at, body)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 3, 2)
    assert notices(at) == [("51", "created"), (str(2**60 + 1), "deleted"), ("55", "created")]


def test_a_source_says_which_events_of_hubspot_are_leads_and_no_property_value_is_told() -> None:
    at = desk("hubspot", lead_events=["contact.propertyChange"])
    change = {"propertyName": "email", "propertyValue": "ana@example.org"}
    send(at, [hubspot(51), hubspot(52, "contact.propertyChange", **change)])
    assert notices(at) == [("52", "created")]
    assert told(at, "leads.notified.v1")[0].details["property_name"] == "email"
    assert b"example.org" not in (at.messages[0].value or b"")


def test_events_of_the_newer_kind_of_subscription_count_for_contacts_only() -> None:
    at = desk("hubspot")
    kinds_sent = [("0-1", "object.creation"), ("0-2", "object.creation"), ("0-1", "object.privacyDeletion")]
    send(at, [hubspot(n, kind, objectTypeId=type_id) for n, (type_id, kind) in enumerate(kinds_sent)])
    assert notices(at) == [("0", "created"), ("2", "deleted")]


def test_an_attempt_that_hubspot_counts_is_the_same_notice() -> None:
    at = desk("hubspot")
    for attempt in (0, 1):
        send(at, [hubspot("51", attemptNumber=attempt), hubspot(51, event_id=101)])
    assert len(ids(at)) == 4
    assert len(set(ids(at))) == 1


# Calendly


def test_a_booking_is_a_lead_with_answers_campaign_and_meeting() -> None:
    at = desk("calendly")
    assert send(at, calendly()).status_code == 200
    (lead,) = at.leads()
    assert (lead.contact.full_name, lead.contact.email, lead.contact.phone, lead.contact.company) == (
        "Ana Example", "ana@example.org", "+34600000012", "Example Works")  # fmt: skip
    assert (lead.origin.channel, lead.origin.campaign, lead.source_key) == ("google", "spring", INVITEE + "I1")
    assert lead.answers == {
        "What do you need?": "A new roof", "name (3)": "Ana, please", "timezone": "Europe/Madrid",
        "event_name": "First call", "start_time": "2026-03-04T09:00:00Z", "end_time": "2026-03-04T09:30:00Z",
    }  # fmt: skip


def test_a_booking_told_to_two_subscriptions_is_one_submission_of_one_body() -> None:
    at = desk("calendly")
    send(at, calendly())
    send(at, calendly() | {"created_by": "https://api.calendly.example.com/users/U2"})
    assert len({(lead.cause_id, lead.body_hash) for lead in at.leads()}) == 1


MOVED_AWAY = calendly("invitee.canceled", rescheduled=True, new_invitee=INVITEE + "I2", status="canceled")
MOVED_TO = calendly(invitee="I2", old_invitee=INVITEE + "I1")


@pytest.mark.parametrize("order", [(MOVED_AWAY, MOVED_TO), (MOVED_TO, MOVED_AWAY)])
def test_a_moved_meeting_is_no_second_lead_in_either_order(order: tuple[Body, Body]) -> None:
    at = desk("calendly")
    for body in (calendly(), *order, *order):
        assert send(at, body).json()["accepted"] == 1
    assert len(at.leads()) == 1
    activities = told(at, "activities.received.v1")
    assert {a.activity for a in activities} == {"meeting_moved", "meeting_rescheduled"}
    assert {a.identity for a in activities} == {at.leads()[0].identity}
    assert len(set(ids(at))) == 3


def test_a_cancelled_meeting_is_an_activity_with_its_reason() -> None:
    at = desk("calendly")
    send(at, calendly("invitee.canceled", cancellation={"reason": "Ill", "canceler_type": "invitee"}))
    (activity,) = told(at, "activities.received.v1")
    assert (activity.activity, activity.subject, activity.properties["reason"]) == (
        "meeting_cancelled", "First call", "Ill")  # fmt: skip


def test_a_missed_meeting_is_an_activity_and_its_undoing_takes_that_one_back() -> None:
    at = desk("calendly")
    for event in ("invitee_no_show.created", "invitee_no_show.deleted"):
        send(at, calendly(event, no_show={"uri": "https://api.calendly.example.com/no_shows/N1"}))
    assert kinds(at) == ["activity.received", "activity.retracted"]
    assert told(at, "activities.received.v1")[1].retracts == ids(at)[0]


def test_a_source_that_takes_no_activities_passes_over_those_that_come_along() -> None:
    at = desk("calendly", accepts=["leads"])
    answer = send(at, MOVED_AWAY)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": 0, "results": []})
    assert send(at, calendly()).json()["accepted"] == 1


def test_an_invitee_without_uri_is_named_and_other_events_are_passed_over() -> None:
    at = desk("calendly")
    answer = send(at, calendly(uri=None))
    assert (answer.status_code, answer.json()["results"][0]["error"]["field"]) == (200, "payload.uri")
    assert send(at, {"event": "routing_form_submission.created", "payload": {}}).json()["results"] == []
    assert send(at, calendly("event_type.updated")).json()["results"] == []


# Mailchimp


def test_mailchimp_looks_whether_the_address_answers_without_knowing_the_key() -> None:
    for path in ("/in/place", f"/in/place/{KEY}", "/in/place?x=1"):
        assert desk("mailchimp", AwayDesk).call("GET", path).status_code == 200


def test_a_subscriber_is_a_lead_that_consented() -> None:
    at = desk("mailchimp", consent_text="News by e-mail, please")
    assert send(at, mailchimp(**SUBSCRIBER)).status_code == 200
    assert kinds(at) == ["lead.received", "consent.given"]
    (lead,), (consent,) = at.leads(), told(at, "consents.received.v1")
    assert (lead.contact.full_name, lead.contact.email, lead.contact.city) == (
        "Ana Example", "ana@example.org", "Sevilla")  # fmt: skip
    assert (lead.answers, lead.origin.list_name) == ({"MMERGE5": "roofs"}, "a6b5da1054")
    assert (consent.text, consent.occurred_at.isoformat()) == ("News by e-mail, please", "2026-03-01T10:00:00+00:00")


@pytest.mark.parametrize(("kind", "reason", "event"), [
    ("unsubscribe", "manual", "consent.withdrawn"), ("unsubscribe", "abuse", "suppression.added"),
    ("cleaned", "hard", "suppression.added"), ("cleaned", "abuse", "suppression.added"),
])  # fmt: skip
def test_who_leaves_the_list_is_not_written_to_from_now_on(kind: str, reason: str, event: str) -> None:
    at = desk("mailchimp")
    assert send(at, mailchimp(kind, reason=reason)).json()["accepted"] == 1
    assert kinds(at) == [event]
    (consent,) = told(at, "consents.received.v1")
    assert (consent.reason, consent.occurred_at) == (f"mailchimp {kind}: {reason}", at.now)


def test_who_comes_back_to_the_list_is_a_new_submission() -> None:
    at = desk("mailchimp")
    for fired_at in ("2026-03-01 10:00:00", "2026-03-01 11:00:00"):
        send(at, mailchimp(fired_at=fired_at, **SUBSCRIBER))
    assert len({lead.cause_id for lead in at.leads()}) == 2


def test_a_changed_address_is_told_of_the_new_one_with_the_old_ones_hash() -> None:
    at = desk("mailchimp")
    body = {"type": "upemail", "data[new_email]": "ana@example.com", "data[old_email]": "ANA@example.org"}
    send(at, urlencode(body).encode())
    (activity,) = told(at, "activities.received.v1")
    assert activity.identity == identity_hash(SECRET, "ana@example.com", None, "")
    assert activity.properties == {"former_identity": identity_hash(SECRET, "ana@example.org", None, "")}
    assert b"example" not in (at.messages[0].value or b"")


def test_a_profile_is_an_activity_and_a_campaign_is_passed_over() -> None:
    at = desk("mailchimp")
    assert send(at, mailchimp("profile", **SUBSCRIBER)).json()["accepted"] == 1
    assert send(at, mailchimp("campaign", subject="x", status="sent")).json()["results"] == []
    assert [a.activity for a in told(at, "activities.received.v1")] == ["profile_updated"]


def test_brackets_that_contradict_each_other_or_never_end_harm_nobody() -> None:
    at = desk("mailchimp")
    odd = [
        ("type", "subscribe"),
        ("data", "x"),
        ("data[email]", "a@example.org"),
        ("data[merges][A" + "[x]" * 400, "1"),
    ]
    assert send(at, urlencode(odd).encode()).json()["rejected"] == 1
    assert send(at, urlencode([*odd[:1], *odd[2:], ("data[merges]", "x")]).encode()).json()["accepted"] == 1
    assert at.leads()[0].contact.email == "a@example.org"


# ADF


def test_every_prospect_of_a_document_is_a_lead() -> None:
    at = desk("adf")
    answer = send(at, adf(prospect("L-1"), prospect("L-2", name="Rosa")))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    first, second = at.leads()
    assert (first.contact.full_name, first.contact.phone, first.product, first.message) == (
        "Ana Example & Sons", "+34600000012", "2024 Example Uno", "Is it still there?")  # fmt: skip
    assert second.contact.given_name == "Rosa"
    assert first.occurred_at.isoformat() == "2026-03-01T08:47:50+00:00"


def test_a_prospect_sent_again_as_resend_is_the_same_lead_with_the_same_body() -> None:
    at = desk("adf")
    send(at, adf(prospect()))
    send(at, adf(prospect(status="resend", date="2026-03-02T1:00:00")))
    send(at, adf(prospect(name="Somebody else")))
    first, again, other = at.leads()
    assert (first.cause_id, first.body_hash) == (again.cause_id, again.body_hash)
    assert (first.cause_id, first.body_hash) != (other.cause_id, other.body_hash)


@pytest.mark.parametrize("label", ["application/x-adf+xml", "text/xml", "text/plain", "application/json", ""])
def test_the_media_type_of_adf_does_not_matter(label: str) -> None:
    at = desk("adf")
    assert send(at, adf(prospect()), content_type=label).json()["status"] == "accepted"


@pytest.mark.parametrize("coded", [
    lambda text: text.encode(), lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.encode("utf-16"),
    lambda text: text.encode("cp1252"), lambda text: text.replace("=x", '="ISO-8859-1"').encode("latin-1"),
    lambda text: text.replace("Ñ", "Ñ\x00").encode(), lambda text: urlencode({"adf": text}).encode(),
])  # fmt: skip
def test_adf_is_read_in_every_encoding_that_is_sent(coded: Callable[[str], bytes]) -> None:
    at = desk("adf")
    text = '<?xml version="1.0" encoding=x?>' + adf(prospect(name="Íñigo Ñ")).decode()
    label = "application/x-www-form-urlencoded" if coded(text).startswith(b"adf=") else "text/xml"
    send(at, coded(text), content_type=label)
    assert at.leads()[0].contact.given_name == "Íñigo Ñ"


def test_no_entity_is_resolved_and_a_body_without_prospect_is_refused_in_words() -> None:
    at = desk("adf")
    bomb = '<!DOCTYPE adf [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    send(at, bomb.encode() + adf(prospect(name="&a;")))
    assert at.leads()[0].contact.given_name in (None, "&a;")
    answer = send(at, b"<adf></adf>")
    assert (answer.status_code, answer.json()["code"]) == (422, "no_prospect")
