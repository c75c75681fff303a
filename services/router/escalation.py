"""What happens to a lead that its holder left unanswered or gave back, and to one that nobody could take."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.events.event import Reason, derived_id
from schemas.events.operations import Alert
from schemas.topics import INSIGHTS_ALERTS
from services.router.assignment import BOOK, Cause, hand_over, park, route
from services.router.choice import Nobody, choose
from services.router.rules import Routing
from services.router.world import Lead, World
from services.runtime.verdict import Context, Outgoing, outgoing

PAUSE = timedelta(minutes=1)
"""How long a parked lead rests that nobody could take although its pool had somebody free."""


def overdue(world: World, lead: Lead, context: Context) -> tuple[Outgoing, ...]:
    """The holder of this due lead did not answer in time: it goes on."""
    holder = lead.holder
    if holder is None or lead.respond_by is None:
        return ()
    name = called(holder.rep_id, context)
    why = Reason(code="unanswered", text=f"{name} did not answer by {lead.respond_by:%Y-%m-%d %H:%M:%S} UTC")
    return move_on(world, lead, context, _clock(lead, "respond_by", lead.respond_by, context), why)


def retried(world: World, lead: Lead, context: Context) -> tuple[Outgoing, ...]:
    """Hand over a parked lead if somebody can take it now; else it rests on without a word."""
    book, state = context.books[BOOK], lead.last_told()
    if state is None or lead.retry_at is None:
        return ()
    choice = choose(book.rules, state.lead, world.standings, world.absent, lead.tried)
    if isinstance(choice, Nobody):
        world.put(lead._replace(pool=choice.pool, retry_at=context.now + PAUSE, rules_version=book.version))
        return ()
    cause = _clock(lead, "retry_at", lead.retry_at, context)
    return (hand_over(world, lead, state, choice, book, cause),)


def move_on(world: World, lead: Lead, context: Context, cause: Cause, why: Reason) -> tuple[Outgoing, ...]:
    """Give the lead to another rep, or park it after the last reassignment that the rules allow and call a person."""
    book, state = context.books[BOOK], lead.last_told()
    rules: Routing = book.rules
    if state is None:
        return ()
    if len(lead.holders) > rules.max_reassignments:
        moved = park(world, lead, state.whole, (why,), book, cause)
    else:
        moved = route(world, lead, state, context, cause, (why,))
    return (moved, _stuck(lead, cause, why)) if moved.type == "lead.parked" else (moved,)


def called(rep_id: str, context: Context) -> str:
    """The rep's name, or the id of one whom the book does not know any more."""
    rules: Routing = context.books[BOOK].rules
    return rules.names.get(rep_id, rep_id)


def _clock(lead: Lead, what: str, due_at: datetime, context: Context) -> Cause:
    return Cause(
        derived_id(lead.lead_id, what, lead.version), lead.correlation_id or lead.lead_id,
        context.now, context.now, due_at, context.applied_until,
    )  # fmt: skip


def _stuck(lead: Lead, cause: Cause, why: Reason) -> Outgoing:
    key = f"{why.code}:{lead.lead_id}"
    alert = Alert(
        occurred_at=cause.occurred_at, recorded_at=cause.now, cause_id=cause.id, correlation_id=cause.correlation_id,
        due_at=cause.due_at, applied_until=cause.applied_until, alert=key, kind=why.code, service="router",
        text="Its reps did not take this lead and it is parked; name an owner for it.", lead_id=lead.lead_id,
    )  # fmt: skip
    return outgoing(INSIGHTS_ALERTS, "alert.raised", key, alert)
