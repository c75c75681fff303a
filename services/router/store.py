"""The router's SQL: leads first, then reps, keys ascending; reps only where somebody is to be chosen or freed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.events.outcomes import OutcomeReport
from services.router.assignment import BOOK
from services.router.choice import Standing, open_pools
from services.router.decide import ENDED
from services.router.outcomes import CLOSING, known_form
from services.router.rules import Routing
from services.router.views import Qualified
from services.router.world import Holder, Lead, World
from services.runtime.literals import documents
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.service import Published
from services.runtime.verdict import Context, Incoming

Row = tuple[Any, ...]
QUERIES = load_queries("services.router")
CLAIM = 200
"""Most leads that a clock takes in one transaction."""


def gather(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
    """Lock the leads that these events are about, and the reps if any of them needs a choice or frees somebody."""
    ids = sorted({lead_id for event in events if (lead_id := _lead_id(event))})
    if not ids:
        return World()
    new = [row[0] for row in select(cursor, QUERIES["insert_bare_leads"], {"ids": ids})]
    known = sorted(set(ids).difference(new))
    rows = select(cursor, QUERIES["lock_leads"], {"ids": known}) if known else []
    world = World({lead_id: Lead(lead_id) for lead_id in new} | {row[0]: _lead(row) for row in rows})
    if any(_needs_reps(event, world) for event in events):
        _lock_reps(cursor, world, context)
    return world


def apply(cursor: Cursor, world: World) -> None:
    """Write what the decisions changed."""
    leads, standings = world.changes()
    if leads:
        cursor.execute(QUERIES["save_leads"], _lead_columns(leads))
    if standings:
        cursor.execute(QUERIES["save_reps"], {
            "rep_id": [s.rep_id for s in standings], "open_leads": [s.open_leads for s in standings],
            "number": [s.number for s in standings], "passes": [json.dumps(dict(s.passes)) for s in standings],
        })  # fmt: skip


def claim_overdue(cursor: Cursor, context: Context) -> list[Row]:
    """Leads whose first response is due and cannot have been reported unread."""
    until = _until(context)
    return select(cursor, QUERIES["claim_overdue"], {"until": until, "limit": CLAIM}) if until else []


def put_off_response(cursor: Cursor, row: Row, until: datetime) -> None:
    """Give the lead's holder more time."""
    cursor.execute(QUERIES["put_off_response"], {"id": row[0], "until": until})


def claim_parked(cursor: Cursor, context: Context) -> list[Row]:
    """Parked leads that somebody may be able to take by now."""
    until, book = _until(context), context.books[BOOK]
    if until is None:
        return []
    rules: Routing = book.rules
    pools = open_pools(rules, dict(select(cursor, QUERIES["read_loads"])), rules.absent(context.now))
    claim = {"until": until, "pools": pools, "rules": book.version, "limit": CLAIM}
    return select(cursor, QUERIES["claim_parked"], claim)


def put_off_retry(cursor: Cursor, row: Row, until: datetime) -> None:
    """Let a parked lead rest."""
    cursor.execute(QUERIES["put_off_retry"], {"id": row[0], "until": until})


def claimed(cursor: Cursor, rows: Sequence[Row], context: Context) -> World:
    """These leads; with all reps, locked."""
    world = World({row[0]: _lead(row) for row in rows})
    _lock_reps(cursor, world, context)
    return world


def published(cursor: Cursor, known: Mapping[str, int]) -> list[Published]:
    """State, as it must stand on leads.assigned, of those leads whose version is higher than the one known."""
    asked = {"ids": list(known), "versions": list(known.values())}
    return [Published(*row) for row in select(cursor, QUERIES["published"], asked)]


def _until(context: Context) -> datetime | None:
    return context.applied_until and min(context.now, context.applied_until)


def _lock_reps(cursor: Cursor, world: World, context: Context) -> None:
    rules: Routing = context.books[BOOK].rules
    rows = select(cursor, QUERIES["lock_reps"])
    if missing := sorted({rep.id for rep in rules.reps}.difference(row[0] for row in rows)):
        cursor.execute(QUERIES["insert_bare_reps"], {"ids": missing})
        rows = select(cursor, QUERIES["lock_reps"])
    world.standings = {row[0]: Standing(*row) for row in rows}
    world.absent = rules.absent(context.now)


def _lead_id(event: Incoming) -> str | None:
    if isinstance(event.data, Qualified):
        return event.data.lead.lead_id
    return known_form(event.data.lead_id) if isinstance(event.data, OutcomeReport) else None


def _needs_reps(event: Incoming, world: World) -> bool:
    if isinstance(event.data, Qualified):
        state = world.leads[event.data.lead.lead_id].state
        return state in ("unknown", "parked") or (state == "assigned" and event.data.lead.status in ENDED)
    return event.type in CLOSING


def _lead(row: tuple[Any, ...]) -> Lead:
    holders = tuple([Holder(*holder.split(":")) for holder in row[-1].split()])
    return Lead._make((*row[:-1], holders))


def _lead_columns(leads: Sequence[Lead]) -> dict[str, Any]:
    columns = dict(zip(Lead._fields, map(list, zip(*leads, strict=True)), strict=True))
    return columns | {
        "documents": documents(lead.document for lead in leads),
        "rep_id": [lead.holder.rep_id if lead.holder else None for lead in leads],
        "holders": [" ".join(f"{h.rep_id}:{h.destination}" for h in lead.holders) for lead in leads],
    }
