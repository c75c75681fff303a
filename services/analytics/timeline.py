"""Everything that happened with one lead, in order, each decision with its reasons and the rules that made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.events.event import derived_id
from schemas.identity import address_hash, fold_email
from schemas.topics import LEADS_ASSIGNED, LEADS_OUTCOMES, LEADS_QUALIFIED, LEADS_RECEIVED, PEOPLE_CHANGED, Topic
from services.analytics.store import SQL
from services.runtime.postgres import Cursor, select

FLOW = {
    topic.name: place for place, topic in enumerate((LEADS_RECEIVED, LEADS_QUALIFIED, LEADS_OUTCOMES, LEADS_ASSIGNED))
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a lead. `data` is the event as it was published."""

    id: str
    topic: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    reasons: tuple[dict[str, Any], ...]
    rules_version: str | None
    data: dict[str, Any]


def timeline(cursor: Cursor, lead_id: str) -> list[Entry]:
    """Events of the lead and of the submissions that it goes back to, in the order of their recording.

    A report that router judged stands there once, as judged; one that it refused, or has not read yet, as it came.
    """
    own = [_entry(row) for row in select(cursor, SQL["facts_of_lead"], {"lead_id": lead_id})]
    ids = sorted({str(e.data.get("correlation_id")) for e in own if e.topic == LEADS_QUALIFIED.name})
    arrivals = [_entry(row) for row in select(cursor, SQL["facts_of_submissions"], {"ids": ids})] if ids else []
    judged = {e.data.get("cause_id") for e in own if e.topic == LEADS_OUTCOMES.name}
    told = [e for e in arrivals + own if not (as_reported(e) and e.id in judged)]
    return sorted(told, key=lambda e: (e.recorded_at, FLOW.get(e.topic, len(FLOW)), e.data.get("version", 0)))


def as_reported(entry: Entry) -> bool:
    """Whether it is an outcome as a CRM reported it, not as router judged it."""
    return entry.type in LEADS_OUTCOMES.events and entry.topic != LEADS_OUTCOMES.name


def find_leads(cursor: Cursor, term: str, secret: str) -> list[str]:
    """Ids of the leads that a lead id, a submission id, an e-mail address or a phone number (+34…) means, newest first.

    Addresses are looked up by their hash under the installation's secret, as the log is keyed, and mean all leads of
    the person behind them, also those that came under another address of theirs.
    """
    wanted = term.strip()
    kind: Literal["email", "phone"] = "email" if "@" in wanted else "phone"
    if kind == "phone" and not wanted.startswith("+"):
        return [str(lead_id) for (lead_id,) in select(cursor, SQL["leads_by_id"], {"id": wanted})]
    normalised = fold_email(wanted.lower()) if kind == "email" else "+" + "".join(filter(str.isdigit, wanted))
    given = {address_hash(secret, kind, normalised)}
    found = _leads_of(cursor, given | _hashes_of_people(cursor, _leads_of(cursor, given)))
    ids = sorted(found | _went_on(cursor, found))
    return [str(lead_id) for (lead_id,) in select(cursor, SQL["newest_first"], {"ids": ids})] if ids else []


def _leads_of(cursor: Cursor, identities: set[str]) -> set[str]:
    """Leads of the submissions that arrived under these identity hashes."""
    return {lead_id for (lead_id,) in select(cursor, SQL["leads_of_identities"], {"identities": sorted(identities)})}


def _hashes_of_people(cursor: Cursor, lead_ids: set[str]) -> set[str]:
    """All address hashes of the people whose leads these are."""
    told = _facts(cursor, lead_ids, LEADS_QUALIFIED)
    people = {str(data["lead"]["person_id"]) for _, data in told if "lead" in data}
    return {str(one) for _, data in _facts(cursor, people, PEOPLE_CHANGED) for one in data.get("identities", ())}


def _went_on(cursor: Cursor, lead_ids: set[str]) -> set[str]:
    """Leads that closings of these opened, for what was asked in vain: their ids derive from the closing's."""
    found, last = set(lead_ids), set(lead_ids)
    while last:
        derived = sorted({derived_id(event_id, "lead") for event_id, _ in _facts(cursor, last, LEADS_OUTCOMES)} - found)
        last = (
            {lead_id for (lead_id,) in select(cursor, SQL["leads_that_exist"], {"ids": derived})} if derived else set()
        )
        found |= last
    return found - lead_ids


def _facts(cursor: Cursor, keys: set[str], topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    """Id and data of the facts under these keys of a topic."""
    if not keys:
        return []
    rows = select(cursor, SQL["facts_of_keys"], {"keys": sorted(keys), "topic": topic.name})
    return [(str(event_id), json.loads(text)) for event_id, text in rows]


def _entry(row: Sequence[Any]) -> Entry:
    event_id, topic, event_type, occurred_at, recorded_at, text = row
    data = json.loads(text) if text else {}
    reasons = tuple(r for r in data.get("reasons", ()) if isinstance(r, dict))
    return Entry(event_id, topic, event_type, occurred_at, recorded_at, reasons, data.get("rules_version"), data)
