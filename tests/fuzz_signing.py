"""Signs what schemathesis has made for a signed source's address, as the source's platform would.

Schemathesis loads it by `SCHEMATHESIS_HOOKS`; what it calls an auth sees the request as it will be sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis.auths import GLOBAL_AUTH_STORAGE

from services.intake.sources.presets import presets
from tests.webhook_clients import signed

SECRET = "whsec_Y2F1ZGFsLWV4YW1wbGUta2V5LTI0Ynl0"
PUBLIC = "https://intake.example.com"
SIGNED: Mapping[str, dict[str, Any]] = {
    name: preset.source["signature"] for name, preset in presets().items() if "signature" in preset.source
}
"""What the presets of signed sources say of their signature; a source of the run is called as its preset."""


class Signer(AuthBase):
    """Gives the request its signature; one to another address stays as it is."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign; where the proof stands in the body, put it there."""
        name = request.path_url.removeprefix("/in/").partition("?")[0].partition("/")[0]
        if name not in SIGNED:
            return request
        body, now = request.body or b"", datetime.now(UTC)
        body = body if isinstance(body, bytes) else body.encode()
        fields = _in_body(SIGNED[name], now)
        if fields:
            request.body = _with(fields, body, request.headers.get("Content-Type", ""))
        else:
            request.headers.update(signed(SIGNED[name]["scheme"], body, now, PUBLIC + request.path_url, SECRET))
        return request


def _in_body(signature: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """The fields by which a scheme proves itself in the body, if it does."""
    if signature["scheme"] == "body-field":
        return {signature["field"]: SECRET}
    if signature["scheme"] != "mailgun":
        return {}
    at = str(int(now.timestamp()))
    made = hmac.new(SECRET.encode(), f"{at}token".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": at, "token": "token", "signature": made}


def _with(fields: Mapping[str, str], body: bytes, kind: str) -> bytes:
    """The same body with these fields before its own, a JSON value that is no object in one; of no kind as it is."""
    if kind.startswith("application/x-www-form-urlencoded"):
        return b"&".join(filter(None, (urlencode(fields).encode(), body)))
    if kind.startswith("multipart/form-data"):
        line = body.partition(b"\r\n")[0]
        form = (f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields)
        return b"".join(line + part.encode() for part in form) + body
    try:
        content = json.loads(body)
    except ValueError:
        return body
    return json.dumps((content if isinstance(content, dict) else {"data": content}) | fields).encode()


GLOBAL_AUTH_STORAGE.set_from_requests(Signer())
