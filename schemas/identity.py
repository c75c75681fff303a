"""Pseudonyms of people: keyed hashes that stand wherever an e-mail or a phone must not (keys, URLs, labels, logs)."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Literal


def address_hash(secret: str, kind: Literal["email", "phone"], normalised: str) -> str:
    """HMAC-SHA256 (64 hex digits) of a normalised address under the installation's secret.

    Raises `ValueError` when the secret is empty, because anybody could then compute the hash of a known address.
    """
    return _keyed(secret, kind, normalised)


def identity_hash(secret: str, email: str | None, phone: str | None, submission_id: str) -> str:
    """The address hash of the normalised e-mail, else of the phone, else a hash of the submission's id."""
    if email:
        return _keyed(secret, "email", email)
    if phone:
        return _keyed(secret, "phone", phone)
    return _keyed(secret, "submission", submission_id)


def fold_email(address: str) -> str:
    """The form of a normalised e-mail that identity rests on: without `+tag`; Gmail without dots, under one domain."""
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local.replace('.', '') or local}@gmail.com"
    return f"{local}@{domain}"


def _keyed(secret: str, kind: str, value: str) -> str:
    keyed = _begun(secret).copy()
    keyed.update(f"{kind}\0{value}".encode("utf-8", "surrogatepass"))
    return keyed.hexdigest()


@lru_cache(maxsize=8)
def _begun(secret: str) -> hmac.HMAC:
    """What all hashes under one secret begin with: to copy it takes half the time of a new one."""
    if not secret:
        raise ValueError("the installation secret is empty; set CAUDAL_SECRET to 32 or more random characters")
    return hmac.new(secret.encode(), b"caudal.identity.v1\0", hashlib.sha256)
