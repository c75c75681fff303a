"""The leads opened last, with what qualify and router said of them and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.runtime.postgres import Cursor, load_queries, select

SQL = load_queries("services.analytics.console")
LIMIT = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a service decided so."""

    stage: str
    text: str
    points: float | None


@dataclass(frozen=True, slots=True)
class LatestLead:
    """One lead as its latest states tell. `state` is empty and `owner` None until router has spoken."""

    lead_id: str
    at: datetime
    name: str
    company: str
    source: str
    campaign: str
    warmth: str
    score: float
    state: str
    owner: str | None
    wait_ms: float | None
    reasons: tuple[Reason, ...]


def latest_leads(cursor: Cursor, today: date) -> list[LatestLead]:
    """The last leads, newest first."""
    ids = [i for (i,) in select(cursor, SQL["latest_leads"], {"limit": LIMIT})]
    if not ids:
        return []
    since = today - timedelta(days=1)
    states: dict[tuple[str, str], dict[str, Any]] = {}
    for key, topic, text in select(cursor, SQL["decisions"], {"ids": ids, "since": since}):
        data = json.loads(text)
        known = states.get((key, topic))
        if known is None or data.get("version", 0) > known.get("version", 0):
            states[key, topic] = data | {
                "submission_id": data.get("submission_id") or (known or {}).get("submission_id")
            }
    submissions = [str(data["submission_id"]) for data in states.values() if data.get("submission_id")]
    waits = dict(select(cursor, SQL["waits_of"], {"ids": submissions}))
    return [
        _lead(i, states[i, "leads.qualified.v1"], states.get((i, "leads.assigned.v1"), {}), waits)
        for i in ids
        if "lead" in states.get((i, "leads.qualified.v1"), {})
    ]


def _lead(lead_id: str, told: dict[str, Any], held: dict[str, Any], waits: dict[str, float]) -> LatestLead:
    lead, owner = told["lead"], held.get("owner")
    contact, origin = lead.get("contact", {}), lead.get("origin", {})
    return LatestLead(
        lead_id, datetime.fromisoformat(told["recorded_at"]), _name(contact), contact.get("company") or "",
        origin.get("source", ""), origin.get("campaign") or "", lead.get("warmth", ""), lead.get("score", 0.0),
        held.get("state", ""), owner["name"] if owner else None, waits.get(str(told.get("submission_id"))),
        (*_reasons("qualify", told.get("reasons", ())), *_reasons("router", held.get("reasons", ()))),
    )  # fmt: skip


def _name(contact: dict[str, Any]) -> str:
    parts: Sequence[str] = [contact[k] for k in ("given_name", "family_name") if contact.get(k)]
    return contact.get("full_name") or " ".join(parts) or contact.get("company") or ""


def _reasons(stage: str, told: Iterable[dict[str, Any]]) -> list[Reason]:
    return [Reason(stage, str(r.get("text") or r.get("code", "")), r.get("points")) for r in told]
