"""What becomes of a submission: set aside, noted as interest, attached to an open lead, or a lead of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from schemas.events.event import Reason, derived_id
from schemas.events.leads import Contact, LeadReceived, Repeat, SubmissionClosed
from schemas.events.people import Provenance
from schemas.topics import LEADS_QUALIFIED
from services.qualify.engagement import Engagement, added
from services.qualify.golden import REST, changed, merged, reachable
from services.qualify.recognise import Claim, Recognition, recognise
from services.qualify.rules import BOOK, ScoringRules
from services.qualify.scoring import disqualified, product_line, scored
from services.qualify.tell import frame, tell_lead, tell_person
from services.qualify.world import Lead, Submission, World
from services.runtime.verdict import Context, Emit, Incoming, Outgoing, Verdict, outgoing

TEST = Reason(code="test", text="A test of the source: kept and shown, never handed over, never counted")
NOBODY = Reason(code="no_personal_address", text="No e-mail address or phone number of a person to reach")
OPENED = Reason(code="opened", text="No open lead of this person and product line: a new one")
ATTACHED = Reason(code="attached", text="The person has an open lead of this product line")
WISHES = ("product", "message", "budget", "urgency")
"""What an enquiry asks for: in a lead that has several, the last word counts."""


def lead_received(event: Incoming, world: World, context: Context) -> Verdict:
    """Decide one submission."""
    submission: LeadReceived = event.data
    rules: ScoringRules = context.books[BOOK].rules
    if submission.is_test:
        return _close("lead.disqualified", "test", TEST, event, world, context)
    if refusal := disqualified(submission, rules):
        return _close("lead.disqualified", "disqualified", refusal, event, world, context)
    claimed = world.claims[event.id]
    if not claimed.hashes:
        return _close("interest.noted", "interest", NOBODY, event, world, context)
    found = recognise(claimed, world.owner)
    told = _record_person(found, claimed, event, world, context)
    line = product_line(submission, rules)
    lead = world.open_lead(found.person_id, line)
    if lead:
        return Emit((*told, _attach(lead, found, event, world, context)))
    return Emit((*told, _open(line, found, event, world, context)))


def _close(event_type: str, end_state: str, why: Reason, event: Incoming, world: World, context: Context) -> Verdict:
    """End a submission without a lead; the id is the one that its lead would have."""
    submission: LeadReceived = event.data
    lead_id = derived_id(event.id, "lead")
    world.submissions.append(Submission(event.id, lead_id, None, end_state))
    data = SubmissionClosed(
        **frame(event, context, version=1), lead_id=lead_id, submission_id=event.id, origin=submission.origin,
        contact=submission.contact, is_test=submission.is_test, message=submission.message, reasons=(why,),
        rules_version=context.books[BOOK].version,
    )  # fmt: skip
    return Emit((outgoing(LEADS_QUALIFIED, event_type, lead_id, data),))


def _record_person(
    found: Recognition, claimed: Claim, event: Incoming, world: World, context: Context
) -> Sequence[Outgoing]:
    """Take what the submission says into the golden record; an event only where the record changed."""
    submission: LeadReceived = event.data
    new_keys = tuple(key for key in claimed.hashes if world.owner(key) is None)
    for key in new_keys:
        world.own(key, found.person_id)
    said = reachable(submission)
    given = Provenance(submission_id=event.id, source=submission.source, at=submission.occurred_at)
    if found.is_new:
        fields = _new_person(found.person_id, new_keys, said, given)
        return (tell_person(fields, 1, event, world, context),)
    person = world.persons[found.person_id]
    record = person.record
    fresh = merged(record.contact.__dict__, record.provenance, said, given)
    if not fresh and not new_keys:
        world.keep_person(replace(person, submissions=person.submissions + 1))
        return ()
    fields = {
        "person_id": person.person_id, "identities": (*record.identities, *new_keys),
        "contact": changed(record.contact, fresh), "provenance": record.provenance | dict.fromkeys(fresh, given),
        "first_seen_at": record.first_seen_at, "customer": record.customer,
    }  # fmt: skip
    return (tell_person(fields, person.submissions + 1, event, world, context),)


def _new_person(person_id: str, keys: tuple[str, ...], said: dict[str, Any], given: Provenance) -> dict[str, Any]:
    return {
        "person_id": person_id, "identities": keys, "contact": Contact(**said),
        "provenance": {REST: given}, "first_seen_at": given.at,
    }  # fmt: skip


def _open(line: str, found: Recognition, event: Incoming, world: World, context: Context) -> Outgoing:
    submission: LeadReceived = event.data
    rules: ScoringRules = context.books[BOOK].rules
    engagement = Engagement()
    fields = {
        "lead_id": derived_id(event.id, "lead"), "person_id": found.person_id, "product_line": line, "status": "open",
        "opened_at": submission.occurred_at, "origin": submission.origin, "submissions": 1,
        "contact": world.persons[found.person_id].record.contact, "answers": submission.answers,
        **{name: getattr(submission, name) for name in WISHES},
    }  # fmt: skip
    state, why = scored(fields, engagement, rules)
    world.submissions.append(Submission(event.id, state.lead_id, found.person_id, "opened"))
    reasons = _because(OPENED, found, why)
    return tell_lead("lead.qualified", state, engagement, reasons, event, world, context, submission_id=event.id)


def _attach(lead: Lead, found: Recognition, event: Incoming, world: World, context: Context) -> Outgoing:
    submission: LeadReceived = event.data
    rules: ScoringRules = context.books[BOOK].rules
    at = min(submission.occurred_at, context.now)
    repeat = Repeat(submission_id=event.id, occurred_at=submission.occurred_at, origin=submission.origin)
    engagement = added(lead.engagement, rules.engagement.repeated_submission, at, rules.engagement)
    fields = {
        **lead.state.__dict__, **{name: value for name in WISHES if (value := getattr(submission, name)) is not None},
        "contact": world.persons[found.person_id].record.contact, "submissions": lead.state.submissions + 1,
        "repeat": repeat, "answers": lead.state.answers | submission.answers,
    }  # fmt: skip
    state, why = scored(fields, engagement, rules)
    world.submissions.append(Submission(event.id, state.lead_id, found.person_id, "attached"))
    reasons = _because(ATTACHED, found, why)
    return tell_lead("lead.attached", state, engagement, reasons, event, world, context, submission_id=event.id)


def _because(what: Reason, found: Recognition, why: Sequence[Reason]) -> list[Reason]:
    """All reasons of a decision: what was done, who it is, what the score is made of."""
    return [what, found.reason, *((found.conflict,) if found.conflict else ()), *why]
