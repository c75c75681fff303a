"""The leads opened last, with what qualify and router said of them and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from schemas.topics import LEADS_ASSIGNED
from services.runtime.postgres import Cursor, load_queries, select

SQL = load_queries("services.analytics.console")
LIMIT = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a service decided so."""

    stage: str
    code: str
    text: str
    points: float | None


@dataclass(frozen=True, slots=True)
class LatestLead:
    """One lead as its latest states tell. `at`: when it was opened. `owner` is None until router has spoken."""

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
    opened: dict[str, datetime] = dict(select(cursor, SQL["latest_leads"], {"limit": LIMIT}))
    if not opened:
        return []
    facts = select(cursor, SQL["decisions"], {"ids": list(opened), "since": today - timedelta(days=1)})
    told: dict[str, dict[str, Any]] = {}
    held: dict[str, dict[str, Any]] = {}
    opened_by: dict[str, str] = {}
    for data, key, topic in sorted(((json.loads(text), key, topic) for key, topic, text in facts), key=_version):
        if topic == LEADS_ASSIGNED.name:
            held[key] = data
        elif "lead" in data:
            told[key] = data
            opened_by.setdefault(key, data["correlation_id"])
    waits = dict(select(cursor, SQL["waits_of"], {"ids": list(opened_by.values())}))
    return [_lead(i, at, told[i], held.get(i, {}), waits.get(opened_by[i])) for i, at in opened.items() if i in told]


def _version(fact: tuple[dict[str, Any], str, str]) -> int:
    return int(fact[0].get("version", 0))


def _lead(lead_id: str, at: datetime, told: dict[str, Any], held: dict[str, Any], wait_ms: float | None) -> LatestLead:
    lead, owner = told["lead"], held.get("owner")
    contact, origin = lead.get("contact", {}), lead.get("origin", {})
    return LatestLead(
        lead_id, at, _name(contact), contact.get("company") or "",
        origin.get("source", ""), origin.get("campaign") or "", lead.get("warmth", ""), lead.get("score", 0.0),
        held.get("state", ""), owner["name"] if owner else None, wait_ms,
        (*_reasons("qualify", told.get("reasons", ())), *_reasons("router", held.get("reasons", ()))),
    )  # fmt: skip


def _name(contact: dict[str, Any]) -> str:
    parts: Sequence[str] = [contact[k] for k in ("given_name", "family_name") if contact.get(k)]
    return contact.get("full_name") or " ".join(parts) or contact.get("company") or ""


def _reasons(stage: str, told: Iterable[dict[str, Any]]) -> list[Reason]:
    return [Reason(stage, str(r.get("code", "")), str(r.get("text") or ""), r.get("points")) for r in told]
