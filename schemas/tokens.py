"""Unsubscribe tokens: they say themselves which address, channel and purpose they end, so no table is read.

A token is the URL-safe base64 of a 32-byte HMAC-SHA256 signature, the 32-byte address hash and `channel:purpose`.
It holds no raw address, never expires (a mail may be years old) and may be used again without effect.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

_DIGEST = hashlib.sha256().digest_size
_MAX_CHARACTERS = 512


def sign(secret: str, address_hash: str, channel: str, purpose: str) -> str:
    """Token for one address hash (64 hex digits), channel and purpose. Raises `ValueError` on other input."""
    if not secret:
        raise ValueError("the installation secret is empty; set CAUDAL_SECRET to 32 or more random characters")
    address = bytes.fromhex(address_hash)
    if len(address) != _DIGEST or not channel or not purpose or ":" in channel:
        raise ValueError(f"cannot sign channel {channel!r}, purpose {purpose!r}, {len(address)} bytes of address hash")
    body = address + f"{channel}:{purpose}".encode()
    return urlsafe_b64encode(_signature(secret, body) + body).decode().rstrip("=")


def verify(secret: str, token: str) -> tuple[str, str, str] | None:
    """Address hash, channel and purpose of a token that `sign` made with this secret; None for anything else."""
    if not secret or len(token) > _MAX_CHARACTERS or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, body = raw[:_DIGEST], raw[_DIGEST:]
    if len(body) <= _DIGEST or not hmac.compare_digest(signature, _signature(secret, body)):
        return None
    channel, _, purpose = body[_DIGEST:].decode().partition(":")
    return body[:_DIGEST].hex(), channel, purpose


def _signature(secret: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), b"caudal.unsubscribe.v1\0" + body, hashlib.sha256)
