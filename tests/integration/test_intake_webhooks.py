"""Each platform as it really posts, to one intake on real Kafka: handshake, signature, exactly 200, the events."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.topics import ACTIVITIES_RECEIVED, CONSENTS_RECEIVED, LEADS_NOTIFIED, LEADS_RECEIVED
from services.intake import keys
from services.runtime.kafka.reader import Reader
from tests.integration.test_intake_http import Intake, running_intake
from tests.webhook_clients import (
    INVITEE,
    SECRET,
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

PUBLIC = "https://leads.example.com"
SIGNED = ("meta", "linkedin", "hubspot", "calendly")
MOVED_AWAY = calendly("invitee.canceled", rescheduled=True)
KEY, PREFIX, DIGEST = keys.new_key()
NOTIFIED, RECEIVED = LEADS_NOTIFIED.name, LEADS_RECEIVED.name
SENT: dict[str, tuple[list[Body], list[tuple[str, str]]]] = {
    "meta": ([meta("1459", 2**60)], [(NOTIFIED, "lead.notified")] * 2),
    "linkedin": ([linkedin(), linkedin(action="DELETED")], [(NOTIFIED, "lead.notified")] * 2),
    "hubspot": ([[hubspot(51), hubspot(52, "contact.privacyDeletion")]], [(NOTIFIED, "lead.notified")] * 2),
    "calendly": (
        [calendly(), MOVED_AWAY, calendly(invitee="I2", old_invitee=INVITEE + "I1")],
        [(RECEIVED, "lead.received"), *[(ACTIVITIES_RECEIVED.name, "activity.received")] * 2],
    ),
    "mailchimp": (
        [mailchimp(**SUBSCRIBER), mailchimp("unsubscribe", reason="manual")],
        [(RECEIVED, "lead.received"), (CONSENTS_RECEIVED.name, "consent.given"),
         (CONSENTS_RECEIVED.name, "consent.withdrawn")],
    ),
    "adf": ([adf(prospect("L-1"), prospect("L-2"))], [(RECEIVED, "lead.received")] * 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def intake(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    folder: Path = tmp_path_factory.mktemp("webhooks")
    held = {f"hook-{name}": {"secret": [SECRET], "verify": ["a token"]} for name in SIGNED}
    (folder / "secrets.json").write_text(json.dumps(held))
    rows = [f"  hook-{name}: {{preset: {name}}}" for name in SIGNED]
    rows += [f"  hook-adf: {{preset: adf, keys: [{{prefix: {PREFIX}, sha256: '{DIGEST}'}}]}}"]
    other, prefix, digest = keys.new_key()
    rows += [f"  hook-mailchimp: {{preset: mailchimp, keys: [{{prefix: {prefix}, sha256: '{digest}'}}]}}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUDAL_SOURCE_SECRETS", str(folder / "secrets.json"))
        patch.setenv("CAUDAL_PUBLIC_URL", PUBLIC)
        with running_intake(kafka, folder / "stderr", "sources:\n" + "\n".join(rows), other) as running:
            yield running


def post(intake: Intake, preset: str, body: bytes) -> httpx.Response:
    """A post as the platform makes it, which comes again after a 503."""
    key = {"adf": f"/{KEY}", "mailchimp": f"/{intake.key}"}.get(preset, "")
    path = f"/in/hook-{preset}{key}"
    for _ in range(10):
        headers = signed(preset, body, datetime.now(UTC), PUBLIC + path)
        answer = httpx.post(intake.url + path, content=body, headers=headers, timeout=20)
        if answer.status_code != 503:
            break
    return answer


def events(servers: str, source: str) -> list[tuple[str, str, str]]:
    """Topic, type and id of every event of a source, repeats and all."""
    reader = Reader(servers, [NOTIFIED, RECEIVED, ACTIVITIES_RECEIVED.name, CONSENTS_RECEIVED.name])
    found = []
    for record in reader.to_end():
        headers: dict[str, bytes] = dict(record.headers)
        if f'"source":"{source}"'.encode() in (record.value or b""):  # others write garbage there
            found.append((record.topic, headers["ce_type"].decode(), headers["ce_id"].decode()))
    reader.close()
    return found


@pytest.mark.parametrize("preset", SENT)
def test_what_a_platform_posts_is_on_the_log_once_for_each_thing_however_often_it_is_sent(
    intake: Intake, kafka: str, preset: str
) -> None:
    bodies, expected = SENT[preset]
    answered: list[set[str]] = []
    for _ in range(2):
        answers = [post(intake, preset, encoded(body)) for body in bodies]
        assert [answer.status_code for answer in answers] == [200] * len(bodies), answers[0].text
        results: list[dict[str, Any]] = [line for answer in answers for line in answer.json()["results"]]
        answered.append({line["id"] for line in results})
    found = events(kafka, f"hook-{preset}")
    assert len(found) >= 2 * len(expected)
    assert sorted((topic, kind) for topic, kind, _ in set(found)) == sorted(expected)
    assert answered[0] == answered[1]
    assert answered[0] <= {event_id for _, _, event_id in found}
    assert "example.org" not in intake.errors.read_text()


def test_handshakes_are_answered_and_wrong_ones_are_not(intake: Intake) -> None:
    meta_query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "a token"}
    answer = httpx.get(f"{intake.url}/in/hook-meta", params=meta_query)
    assert (answer.status_code, answer.content) == (200, b"1158201444")
    assert httpx.get(f"{intake.url}/in/hook-meta", params={**meta_query, "hub.verify_token": "x"}).status_code == 403
    code = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
    answer = httpx.get(f"{intake.url}/in/hook-linkedin", params={"challengeCode": code})
    assert answer.json()["challengeResponse"] == "63c7a919bedbaacb240b7f164b53ceec3659f89f076bdd25f84469154bedb6e8"
    assert httpx.get(f"{intake.url}/in/hook-mailchimp").status_code == 200


def test_a_wrong_signature_is_refused_and_leaves_no_trace(intake: Intake, kafka: str) -> None:
    before = len(events(kafka, "hook-meta"))
    wrong = httpx.post(f"{intake.url}/in/hook-meta", content=b"{}", headers={"x-hub-signature-256": "sha256=00"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_signature")
    assert len(events(kafka, "hook-meta")) == before
