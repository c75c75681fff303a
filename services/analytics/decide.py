"""What each event adds to the account of its lead and its submission. The event itself is kept by the inbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from schemas import topics
from schemas.events.operations import DeadLetter
from schemas.events.outcomes import Outcome
from services.analytics.rows import Assigned, Closing, Holder, Lead, Qualified, Submission
from services.analytics.views import Assigned as AssignedView
from services.analytics.views import Closed, LeadOf, Received
from services.analytics.views import Qualified as QualifiedView
from services.analytics.world import World
from services.runtime.verdict import Context, Emit, Incoming, Verdict

KEPT = Emit()
END_STATE = MappingProxyType({
    "lead.qualified": "opened", "lead.attached": "attached",
    "interest.noted": "interest", "lead.disqualified": "disqualified",
})  # fmt: skip
CLOSING = MappingProxyType({"lead.won": "won", "lead.lost": "lost", "lead.returned": "returned"})


def decide(event: Incoming, world: World, _context: Context) -> Verdict:
    """Take every event in; those that change an aggregate go on to their topic's handler."""
    world.moved[event.timestamp.replace(microsecond=0), event.topic] += 1
    handler = HANDLERS.get(event.topic)
    if handler is not None and event.data is not None:
        handler(event, event.data, world)
    return KEPT


def received(event: Incoming, data: Received, world: World) -> None:
    """A submission arrived: from here on it counts."""
    world.tell_submission(Submission(event.id, data.recorded_at, data.source, event.inbox_id))


def qualified(event: Incoming, data: QualifiedView | Closed, world: World) -> None:
    """Qualify said what became of a submission, and how it sees the lead now."""
    lead: LeadOf | None = getattr(data, "lead", None)
    if lead is not None:
        origin = lead.origin
        state = Qualified(
            data.version, lead.opened_at, origin.source, origin.origin_type, origin.campaign or "",
            lead.product_line, lead.warmth, lead.is_test,
        )  # fmt: skip
        world.tell_lead(Lead(lead.lead_id, qualified=state))
        if event.type == "lead.qualified" and not lead.is_test:
            world.opened.append((data.recorded_at, lead.lead_id))
    end_state = END_STATE.get(event.type)
    if data.submission_id and end_state:
        end_state = "test" if (lead or data).is_test else end_state  # type: ignore[union-attr]  # one of them has it
        world.tell_submission(Submission(data.submission_id, end_state=end_state, lead_id=event.key))


def assigned(event: Incoming, data: AssignedView, world: World) -> None:
    """Router named an owner, parked the lead or took it back."""
    owner = data.owner
    world.tell_lead(Lead(
        data.lead_id,
        assigned=Assigned(data.version, data.state),
        holder=Holder(data.version, owner.rep_id, owner.pool, owner.destination) if owner else None,
        assigned_at=data.assigned_at,
    ))  # fmt: skip
    if owner:
        world.reps[owner.rep_id] = owner.name
    if event.type == "lead.assigned" and data.assigned_at:
        world.tell_submission(Submission(data.correlation_id, assigned_at=data.assigned_at))


def outcome(event: Incoming, data: Outcome, world: World) -> None:
    """The sale went on: accepted, or closed with its value."""
    if event.type == "lead.accepted":
        world.tell_lead(Lead(data.lead_id, accepted_at=data.occurred_at))
    elif event.type == "lead.won" or (event.type in CLOSING and data.by_holder):
        closing = Closing(data.occurred_at, CLOSING[event.type], round((data.value or 0) * 100), data.currency or "")
        world.tell_lead(Lead(data.lead_id, closing=closing))


def dead(event: Incoming, data: DeadLetter, world: World) -> None:
    """A service gave a record up: kept for repair; a submission given up by qualify ends dead until it is repaired."""
    world.dead_letters.append((event.inbox_id, data))
    if data.topic == topics.LEADS_RECEIVED.name and data.service == "qualify" and data.event_id:
        world.tell_submission(Submission(data.event_id, end_state="dead"))


HANDLERS: Mapping[str, Callable[..., None]] = MappingProxyType({
    topics.LEADS_RECEIVED.name: received,
    topics.LEADS_QUALIFIED.name: qualified,
    topics.LEADS_ASSIGNED.name: assigned,
    topics.LEADS_OUTCOMES.name: outcome,
    topics.DEADLETTERS.name: dead,
})  # fmt: skip
"""What is done on top of keeping an event, by topic; the raw topics carry the same types, but do not count."""
