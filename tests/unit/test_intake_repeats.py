"""Every client that sends all of it again, days later too, makes nothing new: ids come from the sources' own keys."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.unit.test_intake_deliver import GOOGLE, KEY, KEYS, URL, Desk, ids
from tests.webhook_clients import (
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

WHSEC = "whsec_Y2F1ZGFsLWV4YW1wbGUta2V5LTI0Ynl0"
Send = Callable[[Desk, Body], httpx.Response]


@dataclass(frozen=True)
class Client:
    """A sender: its source, what it sends, and what it may send when it sends the same things again."""

    source: dict[str, Any]
    first: list[Body]
    again: list[Body]
    send: Send
    secret: str = SECRET
    new_on_another_day: bool = field(default=False)


def keyed(at: Desk, body: Body) -> httpx.Response:
    return at.post(f"/in/place/{KEY}", encoded(body), content_type="application/json")


def named(at: Desk, body: Body) -> httpx.Response:
    return at.post(f"/in/place/{KEY}", encoded(body), idempotency_key="post-1")


def posted(at: Desk, body: Body) -> httpx.Response:
    return at.post("/v1/leads", encoded(body), x_api_key=KEY, idempotency_key="post-1")


def platform(scheme: str) -> Send:
    def send(at: Desk, body: Body) -> httpx.Response:
        path, content = "/in/place" if at.secrets else f"/in/place/{KEY}", encoded(body)
        return at.post(path, content, **signed(scheme, content, at.now, URL + path))

    return send


def standard(prefix: str) -> Send:
    def send(at: Desk, body: Body) -> httpx.Response:
        content = encoded(body)
        made = Webhook(WHSEC).sign("msg_1", at.now, content.decode())
        headers = {"id": "msg_1", "timestamp": str(int(at.now.timestamp())), "signature": made}
        return at.post("/in/place", content, **{f"{prefix}-{name}": value for name, value in headers.items()})

    return send


def rows(*numbers: int) -> list[Any]:
    return [{"id": n, "email": f"a{n}@example.com"} for n in numbers]


def tracked(*numbers: int, sent_at: str = "2026-03-01T12:00:00Z") -> dict[str, Any]:
    told = {"type": "track", "event": "Lead Submitted", "timestamp": "2026-03-01T11:00:00Z"}
    batch = [{**told, "messageId": f"m-{n}", "properties": {"email": f"a{n}@example.com"}} for n in numbers]
    return {"batch": batch, "sentAt": sent_at}


CLOUD = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "x.lead", "data": {"email": "ana@example.com"}}
LEAD = {"email": "ana@example.com"}
REGROUPED = {**meta(1, 2), "entry": [*meta("2")["entry"], *meta("1")["entry"]]}
CLIENTS = {
    "meta": Client({"preset": "meta"}, [meta(1, 2)], [meta("1"), meta("2"), REGROUPED], platform("meta")),
    "linkedin": Client({"preset": "linkedin"}, [linkedin("1"), linkedin("2")], [[linkedin("2"), linkedin("1")]],
                       platform("linkedin")),
    "hubspot": Client({"preset": "hubspot"}, [[hubspot(1), hubspot(2, event_id=5)]],
                      [[hubspot("2", event_id=6, attemptNumber=3)], [hubspot(1)]], platform("hubspot")),
    "calendly": Client({"preset": "calendly"}, [calendly(), calendly("invitee.canceled")],
                       [calendly("invitee.canceled"), calendly() | {"created_by": "another"}], platform("calendly")),
    "mailchimp": Client({"preset": "mailchimp", "keys": KEYS},
                        [mailchimp(**SUBSCRIBER), mailchimp("cleaned", id="", reason="hard")],
                        [mailchimp("cleaned", id="", reason="hard"), mailchimp(**SUBSCRIBER, ip_opt="192.0.2.8")],
                        platform("mailchimp"), secret=""),
    "adf": Client({"preset": "adf", "keys": KEYS}, [adf(prospect("1"), prospect("2"))],
                  [adf(prospect("2", status="resend", date="2026-03-03")), adf(prospect("1"))], keyed, secret=""),
    "google": Client({"preset": "google-ads"}, [{**GOOGLE, "google_key": SECRET}],
                     [{"api_version": "2.0", **GOOGLE, "google_key": SECRET}], keyed),
    "standard-webhooks": Client({"preset": "standard-webhooks"}, [{"data": LEAD}], [{"data": LEAD}],
                                standard("webhook"), secret=WHSEC),
    "svix": Client({"preset": "standard-webhooks"}, [{"data": LEAD}], [{"data": LEAD}], standard("svix"), secret=WHSEC),
    "segment": Client({"preset": "segment", "keys": KEYS}, [tracked(1, 2, 3)],
                      [tracked(3, sent_at="2026-03-03T12:00:00Z"), tracked(2, 1)], keyed, secret=""),
    "cloudevents": Client({"preset": "cloudevents", "keys": KEYS}, [CLOUD], [{**CLOUD, "time": "2026-03-03T00:00:00Z"}],
                          lambda at, body: at.post(f"/in/place/{KEY}", encoded(body),
                                                   content_type="application/cloudevents+json"), secret=""),
    "rows with ids": Client({"keys": KEYS, "id_field": "id"}, [rows(1, 2, 3)], [rows(3), rows(2, 1)], keyed, secret=""),
    "named rows": Client({"keys": KEYS}, [rows(1, 2)], [rows(1, 2)], named, secret=""),
    "named posts": Client({"keys": KEYS}, [LEAD], [LEAD], posted, secret=""),
    "nameless": Client({"keys": KEYS}, [LEAD], [LEAD], keyed, secret="", new_on_another_day=True),
}  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_sending_everything_again_makes_nothing_new(client: Client) -> None:
    at = Desk({"place": client.source}, {"place": [client.secret]} if client.secret else {})
    for body in client.first:
        assert client.send(at, body).status_code == 200
    first = ids(at)
    assert len(set(first)) == len(first) > 0
    at.now += timedelta(hours=1)
    for body in client.again:
        assert client.send(at, body).status_code == 200
    assert set(ids(at)) == set(first)
    assert len(ids(at)) >= 2 * len(first)
    at.now += timedelta(days=2)
    for body in client.again:
        assert client.send(at, body).status_code == 200
    assert (set(ids(at)) == set(first)) is not client.new_on_another_day


def test_two_sources_that_count_alike_have_ids_of_their_own() -> None:
    at = Desk({name: {"keys": [{**KEYS[0], "prefix": f"abcdefg{n}"}], "id_field": "id"} for n, name in enumerate("ab")})
    for n, name in enumerate("ab"):
        key = KEY.replace(KEYS[0]["prefix"], f"abcdefg{n}")
        assert at.post(f"/in/{name}/{key}", json.dumps(rows(1)).encode()).status_code == 200
    assert len(set(ids(at))) == 2
