"""API keys: `cdl_<prefix>_<secret>`. We keep the prefix and the SHA-256 of the secret, and show a key once."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from string import ascii_lowercase, digits
from urllib.parse import quote, quote_plus

from services.intake.rules import SourceRules
from services.intake.sources.source import Source

START = "cdl_"
_KEY = re.compile(r"cdl_([a-z][a-z0-9]{7})_([A-Za-z0-9_-]{43})")
_IN_BYTES = re.compile(rb"(cdl_[a-z][a-z0-9]{7}_)[A-Za-z0-9_-]{43}")
_ESCAPE = re.compile("%[0-9A-F]{2}")
_NOBODY = "0" * 64  # compared where the prefix is unknown, so that both refusals take the same time


def new_key() -> tuple[str, str, str]:
    """A fresh key as text, its prefix, and the SHA-256 of its secret; the secret has 256 random bits."""
    prefix = secrets.choice(ascii_lowercase) + "".join(secrets.choice(ascii_lowercase + digits) for _ in range(7))
    secret = secrets.token_urlsafe(32)
    return f"cdl_{prefix}_{secret}", prefix, sha256(secret.encode()).hexdigest()


def verify(rules: SourceRules, key: str | None) -> Source | None:
    """The source that holds this key, or None."""
    found = _KEY.fullmatch(key or "")
    if not found:
        return None
    expected, source = rules.by_prefix.get(found[1], (_NOBODY, None))
    return source if compare_digest(sha256(found[2].encode()).hexdigest(), expected) else None


def masked(body: bytes) -> bytes:
    """The same without the secret part of any key in it: SDKs repeat theirs in each body, and bodies are kept."""
    return _IN_BYTES.sub(rb"\1***", body) if START.encode() in body else body


def without(body: bytes, hidden: Sequence[str]) -> bytes:
    """The same without these secrets, however JSON and forms write them."""
    for spelling in sorted({one for secret in hidden for one in _spellings(secret)}, key=len, reverse=True):
        body = body.replace(spelling, b"***")
    return body


def _spellings(secret: str) -> Iterator[bytes]:
    escaped = [json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    in_form = [quote(secret, safe=""), quote_plus(secret), quote_plus(secret, safe="*"), quote(secret)]
    lower = [_ESCAPE.sub(lambda found: found[0].lower(), one) for one in in_form]
    slashed = [one.replace("/", "\\/") for one in escaped]
    return (one.encode() for one in (secret, *escaped, *slashed, *in_form, *lower) if one)


def presented(headers: Mapping[str, str]) -> str | None:
    """The key in `Authorization: Bearer`, as user of `Authorization: Basic`, or in `X-API-Key`; never from the URL."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("ascii").partition(":")[0]
        except ValueError:
            return None
    return headers.get("x-api-key")
