"""Deliveries with something refused in them, whose sender will never look at the answer: kept as dead letters."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
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


def letter(
    source: str, body: bytes, texts: Sequence[str], results: Sequence[Accepted | Refused], now: datetime
) -> Message | None:
    """One dead letter for the whole delivery, naming each bad item by its index; None where all was taken.

    It holds no key of ours. Its `topic` is the source's address, partition and offset are -1. The same delivery is the
    same letter. Of one over 256 kB the `texts` of the refused items are kept, a line each, as many as fit 256 kB.
    """
    faults = [(index, one.faults[0]) for index, one in enumerate(results) if isinstance(one, Refused)]
    if not faults:
        return None
    digest, truncated = sha256(body).hexdigest(), len(body) > MOST_ITEM_BYTES
    said = "; ".join(f"item {index}: {fault.message}" for index, fault in faults[:20])
    kept = masked(body)
    if truncated:
        lines = _fitting([masked(texts[index].encode()) for index, _ in faults])
        kept = b"\n".join(lines) or kept[:_KEPT_BYTES]
        said = f"{len(lines)} of {len(faults)} refused items are kept: {said}"
    told = DeadLetter(
        service="intake", reason=faults[0][1].code, detail=said[:2000],
        topic=f"/in/{source}", partition=-1, offset=-1, timestamp_ms=int(now.timestamp() * 1000), recorded_at=now,
        raw_value=base64.b64encode(kept).decode(), sha256=digest, truncated=truncated,
    )  # fmt: skip
    headers = codec.write(derived_id(f"{source}|{digest}", "dead.intake"), _TYPE, _SOURCE)
    return Message(DEADLETTERS.name, None, told.model_dump_json(exclude_none=True).encode(), headers)


def _fitting(texts: Iterable[bytes]) -> list[bytes]:
    """The first of them that fit 256 kB together, each cut after 64 kB; those that are not there are passed over."""
    kept: list[bytes] = []
    room = MOST_ITEM_BYTES
    for text in filter(None, texts):
        room -= len(text[:_KEPT_BYTES]) + 1
        if room < 0:
            break
        kept.append(text[:_KEPT_BYTES])
    return kept
