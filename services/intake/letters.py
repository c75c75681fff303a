"""Deliveries with something refused in them, whose sender will never look at the answer: kept as dead letters."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from schemas import codec
from schemas.events.event import derived_id
from schemas.events.operations import DeadLetter
from schemas.topics import DEADLETTERS
from services.intake.arrival import Accepted, Refused
from services.intake.body import MOST_ITEM_BYTES
from services.intake.keys import masked
from services.runtime.transport import Message

_SOURCE = "caudal/intake"
_KEPT_BYTES = 65_536
_TYPE = "deadletter.recorded"


def letter(source: str, body: bytes, results: Sequence[Accepted | Refused], now: datetime) -> Message | None:
    """One dead letter for the whole delivery, naming each bad item by its index; None where all was taken.

    It holds no key of ours. Its `topic` is the source's address, partition and offset are -1. The same delivery is the
    same letter.
    """
    faults = [(index, one.faults[0]) for index, one in enumerate(results) if isinstance(one, Refused)]
    if not faults:
        return None
    digest, truncated = sha256(body).hexdigest(), len(body) > MOST_ITEM_BYTES
    kept = masked(body)
    told = DeadLetter(
        service="intake", reason=faults[0][1].code,
        detail="; ".join(f"item {index}: {fault.message}" for index, fault in faults[:20])[:2000],
        topic=f"/in/{source}", partition=-1, offset=-1, timestamp_ms=int(now.timestamp() * 1000), recorded_at=now,
        raw_value=base64.b64encode(kept[: _KEPT_BYTES if truncated else None]).decode(),
        sha256=digest, truncated=truncated,
    )  # fmt: skip
    headers = codec.write(derived_id(f"{source}|{digest}", "dead.intake"), _TYPE, _SOURCE)
    return Message(DEADLETTERS.name, None, told.model_dump_json(exclude_none=True).encode(), headers)
