"""What came of a lead: won and lost close it, one given back stays open for the next owner; a win makes a customer."""

from __future__ import annotations

from schemas.events.event import Reason
from schemas.events.outcomes import Outcome
from services.qualify.tell import tell_lead, tell_person
from services.qualify.world import Lead, World
from services.runtime.verdict import Context, Emit, Incoming, Outgoing, Verdict, Wait

STATUS = {"lead.won": "won", "lead.lost": "lost"}
CUSTOMER = frozenset({"lead.won", "order.placed"})
KEPT = ("person_id", "identities", "contact", "provenance", "first_seen_at")


def outcome_counted(event: Incoming, world: World, context: Context) -> Verdict:
    """Take an outcome into the lead and its person; events only where either changed."""
    data: Outcome = event.data
    lead = world.leads.get(data.lead_id)
    if lead is None:
        return Wait(data.lead_id)
    customer = _customer(lead, event, world, context) if event.type in CUSTOMER else ()
    closed = _closed(lead, event, world, context) if event.type in STATUS else ()
    return Emit((*customer, *closed))


def _closed(lead: Lead, event: Incoming, world: World, context: Context) -> tuple[Outgoing, ...]:
    status, data = STATUS[event.type], event.data
    if lead.status == status or (status == "lost" and (lead.status == "won" or not data.by_holder)):
        return ()
    why = Reason(code=status, text=f"{data.destination} reports the lead {status}: {data.reason or 'no reason given'}")
    state = lead.state.model_copy(update={"status": status})
    return (tell_lead("lead.rescored", state, lead.engagement, [why], event, world, context),)


def _customer(lead: Lead, event: Incoming, world: World, context: Context) -> tuple[Outgoing, ...]:
    person = world.persons[lead.person_id]
    if person.record.customer:
        return ()
    record = person.record
    fields = {name: getattr(record, name) for name in KEPT} | {"customer": True}
    return (tell_person(fields, person.submissions, event, world, context),)
