"""Judging what CRMs report: who may say it, what it changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from schemas.events.event import Reason
from schemas.events.operations import Alert
from schemas.events.outcomes import Outcome, OutcomeReport
from schemas.topics import INSIGHTS_ALERTS, LEADS_OUTCOMES, OUTCOMES_RECEIVED
from services.router.assignment import Cause, close
from services.router.escalation import called, move_on
from services.router.world import Lead, World
from services.runtime.verdict import Context, Dead, Drop, Emit, Incoming, Outgoing, Verdict, Wait, outgoing

CLOSING = frozenset(("lead.won", "lead.lost", "lead.returned"))
"""Outcomes that can free a rep or call for another."""

ENDING = CLOSING - {"lead.returned"}
"""Outcomes after which nobody is told any more what the person asks."""

Events = tuple[Outgoing, ...]


def reported(event: Incoming, world: World, context: Context) -> Verdict:
    """What a present or former destination reports counts and is told; what it changes hangs on who holds the lead."""
    lead_id = known_form(event.data.lead_id)
    if lead_id is None:
        return Dead("bad_lead_id", "lead_id is not the UUID that leads.assigned gave; send that one")
    lead = world.leads.get(lead_id)
    if lead is None or not lead.seen_version:
        return Wait(lead_id)
    destination = sender(event)
    if destination not in lead.destinations:
        return Drop("not_yours", (_not_yours(event, lead, destination, context),))
    outcome = _judged(event, lead, destination or "", context)
    change = _CHANGES.get(event.type, _responded)
    told = outgoing(LEADS_OUTCOMES, event.type, lead_id, outcome)
    return Emit((told, *change(world, lead, outcome, context)))


def known_form(lead_id: str) -> str | None:
    """The id as we write it, or None where it cannot be one of ours."""
    try:
        return str(UUID(lead_id))
    except ValueError:
        return None


def sender(event: Incoming) -> str | None:
    """The destination that reports: its own topic names it, or the key that intake checked. Never a field of theirs."""
    if event.topic == OUTCOMES_RECEIVED.name:
        report: OutcomeReport = event.data
        return report.destination
    return event.topic.removeprefix("crm.").removesuffix(".outcomes.v1")


def _judged(event: Incoming, lead: Lead, destination: str, context: Context) -> Outcome:
    report: OutcomeReport = event.data
    rep_id = report.rep_id or (lead.holder.rep_id if lead.holder and lead.holder.destination == destination else None)
    outcome = Outcome(
        occurred_at=_when(report.occurred_at, event.timestamp), recorded_at=context.now, cause_id=event.inbox_id,
        correlation_id=lead.correlation_id or event.inbox_id, lead_id=lead.lead_id, destination=destination,
        rep_id=rep_id, stage=report.stage, reason=report.reason, value=report.value, currency=report.currency,
        note=report.note, seen_submissions=_seen(event, lead),
    )  # fmt: skip
    return _by_holder(lead, outcome, report.seen_submissions)


def _seen(event: Incoming, lead: Lead) -> int | None:
    """How many submissions the last holder was told of; a second closing says the same, as none is told in between."""
    told = lead.last_told() if event.type in ENDING else None
    return told.lead.submissions if told else None


def _by_holder(lead: Lead, outcome: Outcome, read: int | None) -> Outcome:
    """A holder may have read fewer submissions than it was told of; what a former one had read says nothing."""
    if not _holds(lead, outcome):
        return outcome.model_copy(update={"by_holder": False})
    if read and outcome.seen_submissions and read < outcome.seen_submissions:
        return outcome.model_copy(update={"seen_submissions": read})
    return outcome


def _when(said: datetime | None, arrived: datetime) -> datetime:
    """A CRM's clock may run ahead: nothing happened after its report arrived."""
    return min(said, arrived) if said else arrived


def _holds(lead: Lead, outcome: Outcome) -> bool:
    """Whether the report speaks for the present holder; a rep we do not know is a colleague at the same destination."""
    holder = lead.holder
    if holder is None or holder.destination != outcome.destination:
        return False
    return outcome.rep_id == holder.rep_id or outcome.rep_id not in lead.tried


def _responded(world: World, lead: Lead, outcome: Outcome, context: Context) -> Events:
    if _holds(lead, outcome):
        world.put(lead._replace(respond_by=None))
    return ()


def _staged(world: World, lead: Lead, outcome: Outcome, context: Context) -> Events:
    if _holds(lead, outcome):
        world.put(lead._replace(respond_by=None, stage=outcome.stage))
    return ()


def _won(world: World, lead: Lead, outcome: Outcome, context: Context) -> Events:
    """A sale is a sale, also by a former holder and also after the lead was given up as lost."""
    if lead.state == "closed" and lead.stage == "won":
        return ()
    closed = close(world, lead, "won", _cause(outcome))
    return (closed,) if closed else ()


def _lost(world: World, lead: Lead, outcome: Outcome, context: Context) -> Events:
    closed = close(world, lead, "lost", _cause(outcome)) if _holds(lead, outcome) else None
    return (closed,) if closed else ()


def _returned(world: World, lead: Lead, outcome: Outcome, context: Context) -> Events:
    if lead.holder is None or not _holds(lead, outcome):
        return ()
    name = called(outcome.rep_id or lead.holder.rep_id, context)
    why = Reason(code="returned", text=f"{name} gave it back: {outcome.reason or 'no reason given'}")
    return move_on(world, lead, context, _cause(outcome), why)


def _cause(outcome: Outcome) -> Cause:
    return Cause(outcome.cause_id, outcome.correlation_id, outcome.occurred_at, outcome.recorded_at)


def _not_yours(event: Incoming, lead: Lead, destination: str | None, context: Context) -> Outgoing:
    key = f"not_yours:{destination or 'nobody'}"
    return outgoing(INSIGHTS_ALERTS, "alert.raised", key, Alert(
        occurred_at=event.timestamp, recorded_at=context.now, cause_id=event.inbox_id,
        correlation_id=lead.correlation_id or event.inbox_id, alert=key, kind="not_yours", service="router",
        text=f"{destination or 'A caller without destination'} reported {event.type} for a lead it never had; "
        "check its key and its mapping of lead ids.", lead_id=lead.lead_id,
    ))  # fmt: skip


_CHANGES: dict[str, Callable[[World, Lead, Outcome, Context], Events]] = {
    "lead.stage_changed": _staged,
    "lead.won": _won,
    "lead.lost": _lost,
    "lead.returned": _returned,
}
