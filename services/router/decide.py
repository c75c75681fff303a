"""What the router makes of qualify's events: a lead is handed over, updated, parked or closed."""

from __future__ import annotations

from pydantic_core import from_json

from services.router.assignment import Cause, close, route, update
from services.router.views import Qualified, State
from services.router.world import Lead, World
from services.runtime.verdict import Context, Drop, Emit, Incoming, Verdict

ENDED = frozenset(("won", "lost"))
"""Statuses that end a lead. One that a rep returned is routed again, so it has not ended."""


def qualified(event: Incoming, world: World, context: Context) -> Verdict:
    """Act on the state that qualify tells, not on the event's type; one older than what was seen is only noted."""
    data: Qualified = event.data
    lead = world.leads[data.lead.lead_id]
    if data.version <= lead.seen_version:
        return Emit()
    if data.lead.is_test:
        return Drop("test")
    submission = lead.correlation_id or data.correlation_id
    seen = world.put(lead._replace(seen_version=data.version, correlation_id=submission))
    cause = Cause(event.id, submission, data.occurred_at, context.now)
    return _act(world, seen, State(data.lead, from_json(event.body)["lead"]), context, cause)


def _act(world: World, lead: Lead, state: State, context: Context, cause: Cause) -> Verdict:
    status = state.lead.status
    if lead.state == "closed":
        return Emit()
    if status in ENDED:
        closed = close(world, lead, status, cause, state.whole)
        return Emit((closed,) if closed else ())
    if lead.state == "assigned" or (lead.state == "parked" and lead.retry_at is None):
        return Emit((update(world, lead, state.whole, cause),))
    return Emit((route(world, lead, state, context, cause),))


def set_aside(event: Incoming, world: World, context: Context) -> Verdict:
    """Interests, tests and disqualified submissions have nobody to hand over."""
    return Emit()
