"""What the platforms post, with their own signatures: invented people, reserved domains."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

SECRET = "s3cr3t"
INVITEE = "https://api.calendly.example.com/scheduled_events/E1/invitees/"
Body = bytes | dict[str, Any] | list[Any]


def meta(*ids: object, **value: Any) -> dict[str, Any]:
    """A delivery with a change for each lead."""
    about = {"page_id": "1345", "form_id": "1616", "created_time": 1758794728, "ad_id": "77", **value}
    changes = [{"field": "leadgen", "value": {"leadgen_id": one, **about}} for one in ids]
    return {"object": "page", "entry": [{"id": "1345", "time": 1758794733, "changes": changes}]}


def linkedin(number: str = "5a1b-7", action: str = "CREATED", **more: Any) -> dict[str, Any]:
    """A notification about one form response."""
    return {
        "type": "LEAD_ACTION", "leadGenFormResponse": f"urn:li:leadGenFormResponse:{number}",
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:3162,1)",
        "owner": {"sponsoredAccount": "urn:li:sponsoredAccount:520"}, "leadType": "SPONSORED",
        "leadAction": action, "occurredAt": 1758794728000, **more,
    }  # fmt: skip


def hubspot(object_id: object = 51, kind: str = "contact.creation", event_id: object = 100, **more: Any) -> Any:
    """One event of an array."""
    return {
        "eventId": event_id, "subscriptionId": 9, "portalId": 33, "appId": 1160, "occurredAt": 1758794728000,
        "subscriptionType": kind, "attemptNumber": 0, "objectId": object_id, "changeSource": "CRM", **more,
    }  # fmt: skip


def calendly(event: str = "invitee.created", invitee: str = "I1", **payload: Any) -> dict[str, Any]:
    """What happened to one invitee."""
    return {
        "event": event, "created_at": "2026-03-01T11:00:00.000000Z",
        "created_by": "https://api.calendly.example.com/users/U1",
        "payload": {
            "uri": INVITEE + invitee, "email": "ana@example.org", "name": "Ana Example", "first_name": None,
            "last_name": None, "status": "active", "timezone": "Europe/Madrid",
            "text_reminder_number": "+34 600 000 012",
            "questions_and_answers": [
                {"question": "What do you need?", "answer": "A new roof", "position": 0},
                {"question": "Company", "answer": "Example Works", "position": 1},
                {"question": "name", "answer": "Ana, please", "position": 2},
            ],
            "tracking": {"utm_campaign": "spring", "utm_source": "google", "utm_medium": None, "salesforce_uuid": None},
            "scheduled_event": {"uri": "https://api.calendly.example.com/scheduled_events/E1", "name": "First call",
                                "start_time": "2026-03-04T09:00:00Z", "end_time": "2026-03-04T09:30:00Z"},
            "event": "https://api.calendly.example.com/scheduled_events/E1", "cancel_url": "https://example.com/c",
            "reschedule_url": "https://example.com/r", "rescheduled": False, "old_invitee": None, "new_invitee": None,
            "no_show": None, **payload,
        },
    }  # fmt: skip


def mailchimp(kind: str = "subscribe", fired_at: str = "2026-03-01 10:00:00", **data: str) -> bytes:
    """A form with brackets; names in `data` may hold further ones, as `merges][EMAIL`."""
    fields = {"id": "8a25ff1d98", "list_id": "a6b5da1054", "email": "ana@example.org"} | data
    pairs = {"type": kind, "fired_at": fired_at} | {f"data[{name}]": value for name, value in fields.items()}
    return urlencode(pairs).encode()


SUBSCRIBER = {
    "email_type": "html", "ip_signup": "192.0.2.7", "web_id": "3375", "merges][EMAIL": "ana@example.org",
    "merges][FNAME": "Ana", "merges][LNAME": "Example", "merges][MMERGE5": "roofs", "merges][ADDRESS][city": "Sevilla",
}  # fmt: skip


def adf(*prospects: str) -> bytes:
    """A document as portals write it, which is no well-formed XML."""
    return f'<?ADF VERSION "1.0"?>\n<?xml version="1.0"?>\n<adf>{"".join(prospects)}</adf>'.encode()


def prospect(number: str = "L-1", status: str = "new", date: str = "2026-03-01T08:47:50", name: str = "Ana") -> str:
    """One prospect."""
    return f"""<prospect status="{status}"><id sequence=1 source="portal">{number}</id><requestdate>{date}</requestdate>
<vehicle interest="buy" status="used"><year>2024</year><make>Example</make><model>Uno</model></vehicle>
<customer><contact><name part="first">{name}</name><name part="last">Example & Sons</name>
<email>ana@example.org</email><phone type="mobile">+34 600 000 012</phone></contact>
<comments>Is it still there?</comments></customer><vendor><vendorname>Sample Cars</vendorname></vendor></prospect>"""


def encoded(body: Body) -> bytes:
    """The bytes as sent: everything beyond ASCII escaped, as Meta does."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def signed(scheme: str, body: bytes, now: datetime, url: str, secret: str = SECRET) -> Mapping[str, str]:
    """The headers of a delivery; an unsigned one has none but its type."""
    at = str(int(now.timestamp()))
    if scheme == "meta":
        return {"x-hub-signature-256": "sha256=" + _hex(secret, body)}
    if scheme == "linkedin":
        return {"x-li-signature": _hex(secret, b"hmacsha256=" + body)}
    if scheme == "hubspot":
        made = _base64(secret.encode(), f"POST{url}".encode() + body + f"{at}000".encode())
        return {"x-hubspot-signature-v3": made, "x-hubspot-request-timestamp": f"{at}000"}
    if scheme == "calendly":
        return {"calendly-webhook-signature": f"t={at},v1={_hex(secret, f'{at}.'.encode() + body)}"}
    if scheme == "tiktok":
        return {"tiktok-signature": f"t={at},s={_hex(secret, f'{at}.'.encode() + body)}"}
    if scheme == "typeform":
        return {"typeform-signature": "sha256=" + _base64(secret.encode(), body)}
    if scheme == "standard-webhooks":
        made = _base64(base64.b64decode(secret.removeprefix("whsec_")), f"msg_1.{at}.".encode() + body)
        return {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{made}"}
    return {"content-type": "application/x-www-form-urlencoded" if scheme == "mailchimp" else "text/plain"}


def _hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _base64(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
