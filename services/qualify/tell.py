"""Events that carry a whole state: the next version is given, and the world takes the state in, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.events.event import Reason
from schemas.events.leads import LeadQualified, LeadState
from schemas.events.people import PersonChanged
from schemas.topics import LEADS_QUALIFIED, PEOPLE_CHANGED
from services.qualify.engagement import Engagement
from services.qualify.rules import BOOK
from services.qualify.world import Lead, Person, World
from services.runtime.verdict import Context, Incoming, Outgoing, outgoing


def frame(event: Incoming, context: Context, version: int = 0) -> dict[str, Any]:
    """The fields that every event has, for one caused by `event`."""
    data = event.data
    return {
        "occurred_at": data.occurred_at, "recorded_at": context.now,
        "cause_id": event.id, "correlation_id": data.correlation_id, "version": version,
    }  # fmt: skip


def tell_lead(
    event_type: str, state: LeadState, engagement: Engagement, reasons: Sequence[Reason],
    event: Incoming, world: World, context: Context, submission_id: str | None = None,
) -> Outgoing:  # fmt: skip
    """The event with the lead's new state."""
    known = world.leads.get(state.lead_id)
    version = known.version + 1 if known else 1
    data = LeadQualified(
        **frame(event, context, version), lead=state, submission_id=submission_id,
        reasons=tuple(reasons), rules_version=context.books[BOOK].version,
    )  # fmt: skip
    out = outgoing(LEADS_QUALIFIED, event_type, state.lead_id, data)
    world.keep_lead(Lead(
        state.lead_id, state.person_id, state.product_line, state.status, version, out.value or "", engagement, state,
    ))  # fmt: skip
    return out


def tell_person(fields: dict[str, Any], submissions: int, event: Incoming, world: World, context: Context) -> Outgoing:
    """The event with the person's new record; `fields` are those of `PersonChanged` beside the frame."""
    known = world.persons.get(fields["person_id"])
    version = known.version + 1 if known else 1
    data = PersonChanged(
        **frame(event, context, version), **fields,
        submissions=submissions, rules_version=context.books[BOOK].version,
    )  # fmt: skip
    out = outgoing(PEOPLE_CHANGED, "person.changed", data.person_id, data)
    world.keep_person(Person(data.person_id, version, out.id, out.type, out.value or "", submissions, data))
    return out
