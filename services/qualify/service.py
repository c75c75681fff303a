"""Qualify: recognises the person, keeps the golden record, opens or attaches the lead, scores it, and says why.

It does not read `leads.touches.v1`: a touch changes nothing here; what people do with it arrives as an activity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from schemas.events.outcomes import OUTCOMES
from schemas.topics import ACTIVITIES_RECEIVED, LEADS_OUTCOMES, LEADS_RECEIVED, PEOPLE_CHANGED
from services.qualify import store
from services.qualify.activities import activity_received, activity_retracted
from services.qualify.decide import lead_received
from services.qualify.outcomes import outcome_counted
from services.qualify.recognise import makes_known
from services.qualify.rules import BOOK, ScoringRules
from services.qualify.settings import QualifySettings
from services.qualify.world import World
from services.runtime.service import Service
from services.runtime.verdict import Context, Incoming, Verdict

HANDLERS: Mapping[str, Callable[[Incoming, World, Context], Verdict]] = MappingProxyType({
    "lead.received": lead_received,
    "activity.received": activity_received,
    "activity.retracted": activity_retracted,
} | dict.fromkeys(OUTCOMES, outcome_counted))  # fmt: skip


def decide(event: Incoming, world: World, context: Context) -> Verdict:
    """Hand the event to its handler."""
    return HANDLERS[event.type](event, world, context)


def build(settings: QualifySettings) -> Service:
    """The service as the engine runs it."""
    return Service(
        name="qualify",
        inputs=(LEADS_RECEIVED, ACTIVITIES_RECEIVED, LEADS_OUTCOMES),
        gather=partial(store.gather, secret=settings.secret),
        decide=decide,
        apply=store.apply,
        published={PEOPLE_CHANGED.name: store.published_people},
        books={BOOK: ScoringRules},
        makes_known=partial(makes_known, secret=settings.secret),
        for_ever=frozenset({LEADS_RECEIVED.name, ACTIVITIES_RECEIVED.name}),
        of_strangers=frozenset({ACTIVITIES_RECEIVED.name}),
    )
