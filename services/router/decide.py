"""What the router makes of qualify's events: a lead is handed over, updated, parked or closed."""

from __future__ import annotations

from schemas.events.leads import LeadQualified
from services.router.assignment import Cause, close, route, update
from services.router.world import Lead, World
from services.runtime.verdict import Context, Drop, Emit, Incoming, Verdict

ENDED = frozenset(("won", "lost"))
"""Statuses that end a lead. One that a rep returned is routed again, so it has not ended."""


def qualified(event: Incoming, world: World, context: Context) -> Verdict:
    """Act on the state that qualify tells, not on the event's type; one older than what was seen is only noted."""
    data: LeadQualified = event.data
    lead = world.leads[data.lead.lead_id]
    if data.version <= lead.seen_version:
        return Emit()
    if data.lead.is_test:
        return Drop("test")
    submission = lead.correlation_id or data.correlation_id
    seen = world.put(lead._replace(seen_version=data.version, correlation_id=submission))
    cause = Cause(event.id, submission, data.occurred_at, context.now)
    return _act(world, seen, data, context, cause)


def _act(world: World, lead: Lead, data: LeadQualified, context: Context, cause: Cause) -> Verdict:
    state = data.lead
    if lead.state == "closed":
        return Emit()
    if state.status in ENDED:
        closed = close(world, lead, state.status, cause, state)
        return Emit((closed,) if closed else ())
    if lead.state == "assigned" or (lead.state == "parked" and lead.retry_at is None):
        return Emit((update(world, lead, state, cause),))
    return Emit((route(world, lead, state, context, cause),))


def set_aside(event: Incoming, world: World, context: Context) -> Verdict:
    """Interests, tests and disqualified submissions have nobody to hand over."""
    return Emit()
