"""How a lead's assignment changes: handed over, parked, updated, closed. Each step is told with the next version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from schemas.events.event import Reason, derived_id
from schemas.topics import LEADS_ASSIGNED
from services.router.choice import Nobody, Turn, choose
from services.router.rules import Routing
from services.router.views import State
from services.router.world import Holder, Lead, World
from services.runtime.verdict import Book, Context, Outgoing

BOOK = "routing"


class Cause(NamedTuple):
    """Why a lead changes, and when; for a clock's work also when it was due and what had been applied by then."""

    id: str
    correlation_id: str
    occurred_at: datetime
    now: datetime
    due_at: datetime | None = None
    applied_until: datetime | None = None


def route(
    world: World, lead: Lead, state: State, context: Context, cause: Cause, why: tuple[Reason, ...] = ()
) -> Outgoing:
    """Hand the lead to whoever's turn it is, or park it with the reason. `why` it is on the move comes first."""
    book = context.books[BOOK]
    choice = choose(book.rules, state.lead, world.standings, world.absent, lead.tried)
    if isinstance(choice, Turn):
        return hand_over(world, lead, state, choice, book, cause, why)
    return park(world, lead, state.whole, (*why, *choice.reasons), book, cause, retry=choice)


def hand_over(
    world: World, lead: Lead, state: State, turn: Turn, book: Book, cause: Cause, why: tuple[Reason, ...] = ()
) -> Outgoing:
    """Give the lead to the chosen rep: `lead.assigned` to the first, `lead.reassigned` to any later one."""
    rules: Routing = book.rules
    world.release(lead)
    before, rep = world.hand_over(turn), turn.rep
    owner = {
        "rep_id": rep.id, "name": rep.name, "pool": turn.pool, "destination": rep.destination,
        "number": before.number + 1, "load": before.open_leads, "capacity": rep.capacity,
    }  # fmt: skip
    held = lead._replace(holders=(*lead.holders, Holder(rep.id, rep.destination)), pool=None, retry_at=None)
    return tell(
        world, held, "lead.reassigned" if lead.holders else "lead.assigned", cause,
        state="assigned", lead=state.whole, owner=owner, previous_owner=lead.tried[-1] if lead.holders else None,
        attempt=len(held.holders), assigned_at=cause.now, stage=None,
        respond_by=cause.now + rules.first_response.within(state.lead.warmth),
        reasons=(*why, *turn.reasons), rules_version=book.version,
    )  # fmt: skip


def park(
    world: World, lead: Lead, whole: Mapping[str, Any], reasons: tuple[Reason, ...], book: Book, cause: Cause,
    retry: Nobody | None = None,
) -> Outgoing:  # fmt: skip
    """Take the lead from its holder, if any. It stays for a person, or with `retry` until somebody can take it."""
    was_parked = lead.state == "parked"
    world.release(lead)
    parked = lead._replace(pool=retry.pool if retry else None, retry_at=cause.now if retry else None)
    return tell(
        world, parked, "lead.updated" if was_parked else "lead.parked", cause,
        state="parked", lead=whole, owner=None, previous_owner=lead.tried[-1] if lead.holders else None,
        attempt=len(lead.holders), assigned_at=None, respond_by=None, stage=None,
        reasons=reasons, rules_version=book.version,
    )  # fmt: skip


def update(world: World, lead: Lead, whole: Mapping[str, Any], cause: Cause) -> Outgoing:
    """Tell what qualify found out since; the assignment stays as it is."""
    return tell(world, lead, "lead.updated", cause, lead=whole)


def close(
    world: World, lead: Lead, status: str, cause: Cause, whole: Mapping[str, Any] | None = None
) -> Outgoing | None:
    """End the lead as won or lost, and free its holder. None where nothing had been told of it yet."""
    told = lead.last_told()
    if told is None:
        world.put(lead._replace(state="closed", stage=status))
        return None
    world.release(lead)
    ended = {**(whole or told.whole), "status": status}
    return tell(
        world, lead._replace(retry_at=None), "lead.closed", cause,
        state="closed", lead=ended, stage=status, respond_by=None,
        reasons=(Reason(code=f"closed_{status}", text=f"Closed as {status}"),),
    )  # fmt: skip


def tell(world: World, lead: Lead, kind: str, cause: Cause, /, **changes: Any) -> Outgoing:
    """The next version of the lead's state on leads.assigned, folded into its row."""
    told = lead.assignment() | {
        "occurred_at": cause.occurred_at, "recorded_at": cause.now, "cause_id": cause.id,
        "correlation_id": cause.correlation_id, "version": lead.version + 1, "due_at": cause.due_at,
        "applied_until": cause.applied_until, "lead_id": lead.lead_id, "seen_version": lead.seen_version,
        "stage": lead.stage, "respond_by": lead.respond_by, **changes,
    }  # fmt: skip
    event_id, document = derived_id(cause.id, kind), _written(told)
    world.put(lead._replace(
        version=told["version"], state=told["state"], stage=told["stage"], respond_by=told["respond_by"],
        rules_version=told["rules_version"], correlation_id=cause.correlation_id,
        event_id=event_id, event_type=kind, document=document,
    ))  # fmt: skip
    return Outgoing(LEADS_ASSIGNED, kind, lead.lead_id, event_id, told["version"], document, None)


def _written(told: Mapping[str, Any]) -> str:
    """`Assignment` as JSON, as the model would write it. `exclude_none` is for the models within, the reasons."""
    known = {name: value for name, value in told.items() if value is not None}
    return to_json(known, exclude_none=True, inf_nan_mode="null").decode()
