"""Nurture: table of contents. It reads leads, outcomes and consents, and writes touches and judged consents."""

from __future__ import annotations

from datetime import timedelta

from schemas.topics import CONSENTS_RECEIVED, LEADS_OUTCOMES, PEOPLE_CONSENTS
from services.nurture import decide, store
from services.nurture.channels.letters import Letters
from services.nurture.channels.smtp import Line
from services.nurture.rules import NurtureRules
from services.nurture.sending import CLOCK, Post
from services.nurture.settings import NurtureSettings
from services.nurture.views import QUALIFIED
from services.nurture.world import World
from services.runtime.service import Call, Service
from services.runtime.verdict import Context, Incoming, Verdict

HANDLERS = {
    QUALIFIED.name: {
        "lead.qualified": decide.on_lead,
        "lead.attached": decide.on_lead,
        "lead.rescored": decide.on_lead,
    },
    LEADS_OUTCOMES.name: dict.fromkeys(LEADS_OUTCOMES.events, decide.on_outcome),
    CONSENTS_RECEIVED.name: dict.fromkeys(CONSENTS_RECEIVED.events, decide.on_consent),
}


def build(settings: NurtureSettings) -> Service:
    """The service as the engine runs it."""
    post = Post(settings, Letters(settings.mail_templates), Line(settings))
    return Service(
        name="nurture",
        inputs=(QUALIFIED, LEADS_OUTCOMES, CONSENTS_RECEIVED),
        gather=store.gatherer(settings.secret),
        decide=decide_event,
        apply=store.apply,
        patient=True,
        published={PEOPLE_CONSENTS.name: store.published},
        clocks=(Call(CLOCK, timedelta(milliseconds=200), post.claim, post.call, post.record, post.take, post.put_off),),
        books={decide.BOOK: NurtureRules},
        for_ever=frozenset({CONSENTS_RECEIVED.name}),
    )


def decide_event(event: Incoming, world: World, context: Context) -> Verdict:
    """Hand an event to its handler."""
    return HANDLERS[event.topic].get(event.type, decide.on_other)(event, world, context)
