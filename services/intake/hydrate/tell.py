"""What hydrate tells: dead letters, alerts about a source, requests to forget."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import sha256

from schemas.events.event import derived_id
from schemas.events.operations import Alert, DeadLetter
from schemas.events.people import ErasureRequested
from schemas.topics import DEADLETTERS, INSIGHTS_ALERTS, LEADS_NOTIFIED, PEOPLE_ERASURES
from services.intake.hydrate.queue import Notice, Origin
from services.runtime.verdict import Incoming, Outgoing, outgoing


def dead_letter(row: Notice, reason: str, detail: str, now: datetime) -> Outgoing:
    """The notice as it came, and why its lead could not be had. Each time that it is given up has an id of its own."""
    key, value = f"{row.source}|{row.notice_id}", (row.value or "").encode()
    partition, offset, timestamp_ms = map(int, (row.record_place or "0 0 0").split())
    letter = DeadLetter(
        service="intake", reason=reason,
        detail=f"{detail[:1500]}; `caudal sources retry {row.source}` asks for it again",
        topic=LEADS_NOTIFIED.name, partition=partition, offset=offset, timestamp_ms=timestamp_ms,
        event_id=row.event_id, event_type="lead.notified", attempt=row.deaths, recorded_at=now,
        raw_key=_base64(key.encode()), raw_value=_base64(value),
        headers=(("ce_id", _base64((row.event_id or "").encode())), ("ce_type", _base64(b"lead.notified"))),
        sha256=sha256(key.encode() + value).hexdigest(),
    )  # fmt: skip
    event_id = derived_id(row.event_id or key, "dead.hydrate", row.deaths)
    text = letter.model_dump_json(exclude_none=True)
    return Outgoing(DEADLETTERS, "deadletter.recorded", key, event_id, 0, text, None)


def parked(row: Notice, state: Origin, now: datetime) -> Outgoing:
    """The source's token was refused for this lead: said once for each time."""
    text = (
        f"Leads of source {state.source} wait: its API refuses us ({state.parked_why}). Renew the token "
        f"(`caudal sources secret {state.source} token`) or its permissions; they are read as soon as it works."
    )
    return _alert("alert.raised", row, state, text, now)


def works_again(row: Notice, state: Origin, now: datetime) -> Outgoing:
    """The source's API has answered for this lead."""
    return _alert("alert.cleared", row, state, f"Leads of source {state.source} are read again.", now)


def erasures(row: Notice, event: Incoming, now: datetime) -> tuple[Outgoing, ...]:
    """The source asks to forget a lead that went on already: a request for each address that is known of it."""
    return tuple(
        outgoing(PEOPLE_ERASURES, "erasure.requested", address, ErasureRequested(
            occurred_at=event.data.occurred_at, recorded_at=now, cause_id=event.id,
            correlation_id=row.submission_id or event.data.correlation_id, address=address, source=row.source), n)
        for n, address in enumerate(row.addresses.split())
    )  # fmt: skip


def _alert(kind: str, row: Notice, state: Origin, text: str, now: datetime) -> Outgoing:
    key = f"hydrate_parked:{state.source}"
    data = Alert(
        occurred_at=now, recorded_at=now, cause_id=row.event_id or key, correlation_id=row.submission_id or key,
        alert=key, kind="hydrate_parked", service="intake", text=text, details={"source": state.source},
    )  # fmt: skip
    return outgoing(INSIGHTS_ALERTS, kind, key, data, state.parks)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
