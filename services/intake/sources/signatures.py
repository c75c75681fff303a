"""Whether a delivery was signed by its source. Every scheme looks at the bytes as sent, before anything is parsed.

Schemes and their vectors: `tests/unit/test_intake_signatures.py`. A source may have two secrets at a time (rotation);
one that matches is enough. Times may lie `tolerance_s` seconds in the past or in the future.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.intake.answers import Problem
from services.intake.body import ITEM_TOO_LARGE, MOST_ITEM_BYTES
from services.intake.sources.paths import at
from services.intake.sources.reading import read
from services.intake.sources.source import Signature

_MOST_SIGNATURES = 20
_UNIX_TIME = re.compile(r"[0-9]{1,16}")
_KEPT_BY_HUBSPOT = {f"%{ord(c):02X}": c for c in ":/?@!$'()*,;"}
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_MOST_PARTS = 20
_PART = re.compile(rb'; name="(timestamp|token|signature)"')
_VALUE = re.compile(rb"(?:\r\n[^\r\n]{1,200}+){0,5}+\r\n\r\n([^\r\n]{1,200}+)\r\n")

UNSIGNED = Problem(401, "bad_signature", "the signature is missing or wrong; look at the secret on both sides")
OUTSIDE = Problem(401, "stale_signature", "the signed time is too far from now; look at the clock, or sign anew")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature may cover. `url` is the address as its sender knows it; a header sent twice holds a newline."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def verified(signature: Signature, request: Signed, secrets: Sequence[str], now: datetime) -> Problem | None:
    """None when one of the secrets made this signature, else why the request is refused."""
    if signature.scheme in _IN_BODY:
        content = _content(signature, request)
        if isinstance(content, Problem):
            return content
        found = [_IN_BODY[signature.scheme](signature, content, secret, now) for secret in secrets]
    else:
        found = [_CHECKS[signature.scheme](signature, request, secret, now) for secret in secrets]
    if any(problem is None for problem in found):
        return None
    return OUTSIDE if OUTSIDE in found else UNSIGNED


def _meta(_signature: Signature, request: Signed, secret: str, _now: datetime) -> Problem | None:
    return _same(request.headers.get("x-hub-signature-256"), "sha256=" + _hex(secret, request.body))


def _typeform(_signature: Signature, request: Signed, secret: str, _now: datetime) -> Problem | None:
    return _same(request.headers.get("typeform-signature"), "sha256=" + _base64(secret.encode(), request.body))


def _linkedin(_signature: Signature, request: Signed, secret: str, _now: datetime) -> Problem | None:
    return _same(request.headers.get("x-li-signature"), _hex(secret, b"hmacsha256=" + request.body))


def _timed(header: str, version: str) -> Callable[[Signature, Signed, str, datetime], Problem | None]:
    """`t=<seconds>,<version>=<hex>` over `t.body`."""
    form = re.compile(rf"t=([0-9]{{1,16}}),{version}=([0-9a-f]{{64}})")

    def check(signature: Signature, request: Signed, secret: str, now: datetime) -> Problem | None:
        found = form.fullmatch(request.headers.get(header, ""))
        if not found:
            return UNSIGNED
        return _same(found[2], _hex(secret, f"{found[1]}.".encode() + request.body)) or _within(
            signature, float(found[1]), now
        )

    return check


def _hubspot(signature: Signature, request: Signed, secret: str, now: datetime) -> Problem | None:
    """Version 3 where its header is there; else 1 (body) or 2 (method, address, body), as the version header says."""
    third = request.headers.get("x-hubspot-signature-v3")
    given = request.headers.get("x-hubspot-signature")
    if third is None:
        start = {"v1": "", "v2": request.method + request.url}.get(
            request.headers.get("x-hubspot-signature-version", "v1")
        )
        if start is None:
            return UNSIGNED
        return _same(given, hashlib.sha256((secret + start).encode() + request.body).hexdigest())
    sent_at = request.headers.get("x-hubspot-request-timestamp", "")
    if not _UNIX_TIME.fullmatch(sent_at):
        return UNSIGNED
    made = [
        _base64(secret.encode(), (request.method + url).encode() + request.body + sent_at.encode())
        for url in (_as_hubspot_writes(request.url), request.url)
    ]
    if all(_same(third, one) for one in made):
        return UNSIGNED
    return _within(signature, int(sent_at) / 1000, now)


def _standard(signature: Signature, request: Signed, secret: str, now: datetime) -> Problem | None:
    """Standard Webhooks: `v1` (HMAC with the bytes behind `whsec_`) and `v1a` (ed25519 with `whpk_`)."""
    message, sent_at, listed = (_either(request.headers, name) for name in ("id", "timestamp", "signature"))
    if not message or "." in message or not _UNIX_TIME.fullmatch(sent_at) or "\n" in listed:
        return UNSIGNED
    signatures = listed.split(" ", _MOST_SIGNATURES + 1)
    if len(signatures) > _MOST_SIGNATURES:
        return UNSIGNED
    content = f"{message}.{sent_at}.".encode() + request.body
    if not any(_is_standard(secret, one, content) for one in signatures):
        return UNSIGNED
    return _within(signature, float(sent_at), now)


def _is_standard(secret: str, given: str, content: bytes) -> bool:
    version, _, value = given.partition(",")
    try:
        if version == "v1" and not secret.startswith("whpk_"):
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            return bool(key) and hmac.compare_digest(value.encode(), _base64(key, content).encode())
        if version == "v1a" and secret.startswith("whpk_"):
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.removeprefix("whpk_"), validate=True))
            public.verify(base64.b64decode(value, validate=True), content)
            return True
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return False


def _mailgun(signature: Signature, content: object, secret: str, now: datetime) -> Problem | None:
    """In the body: `signature {timestamp, token, signature}`, or the three as fields; it covers time and token."""
    inner = at(content, "signature")
    place = inner if isinstance(inner, dict) else content
    sent_at, token, given = (str(at(place, name) or "") for name in ("timestamp", "token", "signature"))
    if not _UNIX_TIME.fullmatch(sent_at) or not token:
        return UNSIGNED
    return _same(given, _hex(secret, (sent_at + token).encode())) or _within(signature, float(sent_at), now)


def _body_field(signature: Signature, content: object, secret: str, _now: datetime) -> Problem | None:
    """The key itself stands in the body, under a name whose case is not to be relied on."""
    name = signature.field or ""
    given = at(content, name)
    if given is None and isinstance(content, dict):
        given = next((value for key, value in content.items() if key.lower() == name.lower()), None)
    return _same(given if isinstance(given, str) else None, secret)


_CHECKS: Mapping[str, Callable[[Signature, Signed, str, datetime], Problem | None]] = {
    "calendly": _timed("calendly-webhook-signature", "v1"),
    "hubspot": _hubspot,
    "linkedin": _linkedin,
    "meta": _meta,
    "standard-webhooks": _standard,
    "tiktok": _timed("tiktok-signature", "s"),
    "typeform": _typeform,
}

_IN_BODY: Mapping[str, Callable[[Signature, object, str, datetime], Problem | None]] = {
    "body-field": _body_field,
    "mailgun": _mailgun,
}
"""Schemes that look into the body, which therefore is read before anybody has proved anything."""


def _same(given: str | None, expected: str) -> Problem | None:
    """Compared in constant time."""
    return None if given is not None and hmac.compare_digest(given.encode(), expected.encode()) else UNSIGNED


def _within(signature: Signature, sent_at: float, now: datetime) -> Problem | None:
    return None if abs(now.timestamp() - sent_at) <= signature.tolerance_s else OUTSIDE


def _hex(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _base64(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _either(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"webhook-{name}", headers.get(f"svix-{name}", ""))


def _content(signature: Signature, request: Signed) -> object:
    """What the body holds. Of a large one, a mail with files, Mailgun's fields alone; any other is refused unread."""
    kind = request.headers.get("content-type", "")
    if len(request.body) > MOST_ITEM_BYTES:
        if signature.scheme != "mailgun" or not kind.lower().startswith("multipart/form-data"):
            return ITEM_TOO_LARGE
        return _mailguns_fields(request.body)
    found = read(kind, request.body)
    return None if isinstance(found, Problem) else found[0]


def _mailguns_fields(body: bytes) -> dict[str, str]:
    """Looked for as text among the first parts that may be they: who has proved nothing gets nothing parsed."""
    parts = islice(_PART.finditer(body), _MOST_PARTS)
    return {part[1].decode(): value[1].decode("latin-1") for part in parts if (value := _VALUE.match(body, part.end()))}


def _as_hubspot_writes(url: str) -> str:
    """HubSpot signs the address with some escapes decoded."""
    return _ESCAPE.sub(lambda found: _KEPT_BY_HUBSPOT.get(found[0].upper(), found[0]), url)
