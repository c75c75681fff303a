"""Nurture's decisions about events: who is enrolled, who leaves, whose consent changed."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from schemas.events.event import derived_id
from schemas.events.outcomes import Outcome
from schemas.events.people import ConsentReceived
from schemas.events.touches import Enrolment as EnrolmentEvent
from schemas.topics import LEADS_TOUCHES
from services.nurture import rules
from services.nurture.audience import barrier, facts_of, fitting
from services.nurture.consents import STATES, settle
from services.nurture.views import Qualified
from services.nurture.world import Cause, Enrolment, Lead, Step, World
from services.runtime.verdict import Book, Context, Drop, Emit, Incoming, Outgoing, Verdict, Wait, outgoing

BOOK = "nurture"


def on_lead(event: Incoming, world: World, context: Context) -> Verdict:
    """A lead's state changed: fold it in, then look again at its sequences."""
    data: Qualified = event.data
    lead = world.leads.rows[data.lead.lead_id]
    if data.version <= lead.seen_version:
        return Emit()
    email = data.lead.contact.email
    lead = replace(
        lead, seen_version=data.version, address=world.hashes[email] if email else None,
        facts=facts_of(data.lead, data.correlation_id),
    )  # fmt: skip
    return Emit(tuple(reconsider(lead, world, context.books[BOOK], _cause(event, context))))


def on_outcome(event: Incoming, world: World, context: Context) -> Verdict:
    """A CRM reported progress: it may stop a sequence, now and for later."""
    data: Outcome = event.data
    lead = world.leads.rows[data.lead_id]
    if not lead.seen_version:
        return Wait(data.lead_id)
    if event.type in lead.outcomes or (event.type == "lead.lost" and not data.by_holder):
        return Emit()
    lead = replace(lead, outcomes=lead.outcomes | {event.type})
    return Emit(tuple(reconsider(lead, world, context.books[BOOK], _cause(event, context))))


def on_consent(event: Incoming, world: World, context: Context) -> Verdict:
    """Somebody said something about an address: judge it, then look again at all leads that have this address."""
    data: ConsentReceived = event.data
    cause, key = _cause(event, context), (data.address, data.channel, data.purpose)
    at = min(data.occurred_at, event.timestamp)
    state, proof = STATES[event.type], data.proof or data.text
    events = settle(world, key, state, at, cause, data.source, data.correlation_id, data.reason, proof)
    if not events:
        return Emit()
    return Emit(tuple(events + reconsider_address(data.address, world, context.books[BOOK], cause)))


def on_other(event: Incoming, world: World, context: Context) -> Verdict:
    """Submissions that opened no lead are nobody to write to."""
    return Drop("no_lead")


def reconsider_address(address: str, world: World, book: Book, cause: Cause) -> list[Outgoing]:
    """Look again at every lead of an address after its consent changed."""
    return [event for lead in world.leads_at(address) for event in reconsider(lead, world, book, cause)]


def reconsider(lead: Lead, world: World, book: Book, cause: Cause) -> list[Outgoing]:
    """End what is barred, enrol in the first sequence that fits if none goes on, and keep only the facts needed."""
    told, consents = book.rules, world.consents_at(lead.address)
    past = world.enrolments_of(lead.lead_id)
    events, going_on = [], False
    for enrolment in past:
        if enrolment.active:
            reason = barrier(lead, told.sequence(enrolment.sequence), consents)
            if reason is None:
                going_on = True
            else:
                events.append(end(enrolment, reason, world, book, cause))
    open_to = _open_to(lead, told, {enrolment.sequence for enrolment in past})
    if not going_on:
        chosen = next((s for s in open_to if barrier(lead, s, consents) is None), None)
        if chosen is not None:
            events.append(_enrol(lead, chosen, world, book, cause))
            going_on = True
    world.put_lead(lead if going_on or open_to else replace(lead, facts=None))
    return events


def end(enrolment: Enrolment, reason: str, world: World, book: Book, cause: Cause) -> Outgoing:
    """End an enrolment, and say so."""
    return _tell("enrolment.ended", world.end(enrolment, reason), book, cause)


def _open_to(lead: Lead, told: rules.NurtureRules, past: set[str]) -> list[rules.Sequence]:
    return [s for s in fitting(lead.facts, told) if s.name not in past] if lead.facts else []


def _enrol(lead: Lead, sequence: rules.Sequence, world: World, book: Book, cause: Cause) -> Outgoing:
    assert lead.facts is not None, "only a lead with facts fits an audience"  # noqa: S101  # narrows the type
    enrolment = Enrolment(
        derived_id(lead.lead_id, f"enrolment:{sequence.name}"), lead.lead_id, lead.facts.person_id, sequence.name,
        lead.facts.correlation_id, cause.recorded_at,
    )  # fmt: skip
    due = cause.recorded_at + sequence.steps[0].after
    world.start(enrolment, Step(enrolment.enrolment_id, 1, due, due))
    return _tell("enrolment.started", enrolment, book, cause)


def _tell(event_type: str, enrolment: Enrolment, book: Book, cause: Cause) -> Outgoing:
    data = EnrolmentEvent(
        **cause.fields(),
        correlation_id=enrolment.correlation_id,
        lead_id=enrolment.lead_id,
        person_id=enrolment.person_id,
        enrolment_id=enrolment.enrolment_id,
        sequence=enrolment.sequence,
        reason=enrolment.reason,
        rules_version=book.version,
    )
    # one consent may end many enrolments: the enrolment's own id tells their events apart
    return outgoing(LEADS_TOUCHES, event_type, enrolment.lead_id, data, UUID(enrolment.enrolment_id).int)


def _cause(event: Incoming, context: Context) -> Cause:
    return Cause(event.id, event.data.occurred_at, context.now)
