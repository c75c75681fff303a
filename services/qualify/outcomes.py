"""What came of a lead: won and lost close it, one given back stays open for the next owner; a win makes a customer.

Who asked again while the closing was on its way here attached to a lead that the router had closed, so nobody was told.
The closing says how many submissions the lead's owner knew of; for the others it opens a new lead.
"""

from __future__ import annotations

from dataclasses import replace

from schemas.events.event import Reason, derived_id
from schemas.events.leads import Repeat
from schemas.events.outcomes import Outcome
from services.qualify.engagement import Engagement
from services.qualify.rules import BOOK, ScoringRules
from services.qualify.scoring import scored
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
    said = f": {data.reason}" if data.reason else ""
    why = Reason(code=status, text=f"{data.destination} reports the lead {status}{said}")
    state = lead.state.model_copy(update={"status": status})
    repeat = _unheard(lead, data)
    if repeat is None:
        return (tell_lead("lead.rescored", state, lead.engagement, [why], event, world, context),)
    new_id = derived_id(event.id, "lead")
    again = Reason(code="asked_again", text=f"Asked again before the closing was known: lead {new_id} goes on with it")
    closed = tell_lead("lead.rescored", state, lead.engagement, [why, again], event, world, context)
    return (closed, _opened(new_id, repeat, lead, event, world, context))


def _unheard(lead: Lead, data: Outcome) -> Repeat | None:
    """The enquiry that came last, if it was told to nobody. To a lead that is closed here already, nothing attaches."""
    known = data.seen_submissions
    return lead.state.repeat if lead.status == "open" and known is not None and known < lead.state.submissions else None


def _opened(lead_id: str, repeat: Repeat, past: Lead, event: Incoming, world: World, context: Context) -> Outgoing:
    """The lead of what was asked in vain. No submission ends with it: those that it stands for have attached."""
    rules: ScoringRules = context.books[BOOK].rules
    fields = {
        **past.state.__dict__, "lead_id": lead_id, "opened_at": repeat.occurred_at, "origin": repeat.origin,
        "contact": world.persons[past.person_id].record.contact, "repeat": None,
        "submissions": past.state.submissions - event.data.seen_submissions,
    }  # fmt: skip
    state, why = scored(fields, Engagement(), rules)
    text = f"Asked again before the closing of lead {past.lead_id} was known: a new lead"
    reasons = [Reason(code="asked_again", text=text), *why]
    begun = replace(event, data=event.data.model_copy(update={"correlation_id": repeat.submission_id}))
    return tell_lead("lead.qualified", state, Engagement(), reasons, begun, world, context)


def _customer(lead: Lead, event: Incoming, world: World, context: Context) -> tuple[Outgoing, ...]:
    person = world.persons[lead.person_id]
    if person.record.customer:
        return ()
    record = person.record
    fields = {name: getattr(record, name) for name in KEPT} | {"customer": True}
    return (tell_person(fields, person.submissions, event, world, context),)
