"""The router at a glance: what it reads, what it does with each event, what the clock makes it do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from schemas.events.outcomes import OUTCOMES
from schemas.topics import LEADS_ASSIGNED, OUTCOMES_RECEIVED, destination_outcomes
from schemas.views import Closed
from services.router import store
from services.router.assignment import BOOK
from services.router.decide import qualified, set_aside
from services.router.escalation import overdue, retried
from services.router.outcomes import reported
from services.router.rules import Routing
from services.router.settings import RouterSettings
from services.router.store import Row
from services.router.views import QUALIFIED, Qualified
from services.router.world import Lead, World
from services.runtime.postgres import Cursor
from services.runtime.service import DueRows, Service
from services.runtime.verdict import Context, Incoming, Outgoing, Verdict

HANDLERS: dict[str, Callable[[Incoming, World, Context], Verdict]] = {
    **dict.fromkeys(Qualified.types, qualified),
    **dict.fromkeys(Closed.types, set_aside),
    **dict.fromkeys(OUTCOMES, reported),
}


def build(settings: RouterSettings) -> Service:
    """The service, with one outcome topic for each configured destination."""
    return Service(
        name="router",
        inputs=(QUALIFIED, OUTCOMES_RECEIVED, *map(destination_outcomes, settings.destination_names())),
        gather=store.gather,
        decide=decide,
        apply=store.apply,
        published={LEADS_ASSIGNED.name: store.published},
        clocks=(FIRST_RESPONSE, PARKED),
        books={BOOK: Routing},
    )


def decide(event: Incoming, world: World, context: Context) -> Verdict:
    """What the event's handler says."""
    return HANDLERS[event.type](event, world, context)


def pass_on_overdue(cursor: Cursor, rows: Sequence[Row], context: Context) -> list[Outgoing]:
    """Leads without an answer in time go to another rep, or are parked after the last."""
    return _each(overdue, cursor, rows, context)


def retry_parked(cursor: Cursor, rows: Sequence[Row], context: Context) -> list[Outgoing]:
    """Parked leads are handed over once somebody can take them."""
    return _each(retried, cursor, rows, context)


def _each(
    step: Callable[[World, Lead, Context], tuple[Outgoing, ...]],
    cursor: Cursor, rows: Sequence[Row], context: Context,
) -> list[Outgoing]:  # fmt: skip
    world = store.claimed(cursor, rows, context)
    events = [event for lead in list(world.leads.values()) for event in step(world, lead, context)]
    store.apply(cursor, world)
    return events


FIRST_RESPONSE = DueRows(
    "first_response", timedelta(seconds=1), store.claim_overdue, pass_on_overdue, store.put_off_response
)
PARKED = DueRows("parked", timedelta(seconds=2), store.claim_parked, retry_parked, store.put_off_retry)
