"""What every event of the contract has in common (DESIGN §3, contract rule 4)."""

from __future__ import annotations

from hashlib import sha1
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

NAMESPACE = UUID("5a0f3c1e-0b57-5c2e-9d0e-3f3a6f1d7c11")
"""Namespace of every id that Caudal derives."""

_NAMESPACE_BYTES = NAMESPACE.bytes


class Part(BaseModel):
    """A piece of an event: frozen, tolerant of fields that a newer writer added."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Event(Part):
    """The data of one CloudEvent.

    `version` counts 1, 2, 3… per subject and writing service where the topic carries state, and is 0 elsewhere.
    `due_at` and `applied_until` stand only on events caused by a clock: when the work was due, and up to which moment
    its service had applied all inputs when it fired (never earlier than `due_at`).
    """

    types: ClassVar[tuple[str, ...]] = ()

    occurred_at: AwareDatetime
    """When it happened, as told by whoever saw it."""
    recorded_at: AwareDatetime
    """When the writing service recorded it."""
    cause_id: str
    """Id of the event, due row or call that caused this one."""
    correlation_id: str
    """Id of the submission that began it all."""
    version: int = 0
    """Counts 1, 2, 3… per key where the topic carries state: keep the highest per key. 0 elsewhere."""
    due_at: AwareDatetime | None = None
    applied_until: AwareDatetime | None = None


class Reason(Part):
    """Why a decision fell as it did: a code to count by, a sentence to read, points where a score is meant."""

    code: str
    text: str
    points: float | None = None


def derived_id(cause_id: str, event_type: str, n: int = 0) -> str:
    """Id of the `n`-th event of `event_type` caused by `cause_id`: the same cause always gives the same id.

    It is `uuid5(NAMESPACE, "cause|type|n")`, written out because the library's takes three times as long.
    """
    name = _NAMESPACE_BYTES + f"{cause_id}|{event_type}|{n}".encode()
    digest = bytearray(sha1(name, usedforsecurity=False).digest()[:16])  # SHA-1 as RFC 9562 §5.5 prescribes
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
