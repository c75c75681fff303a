"""Intake's engine side: sources of kind `kafka`, and the leads that sources tell by id only (hydrate)."""

from __future__ import annotations

from datetime import timedelta

from schemas.topics import LEADS_NOTIFIED, source_topic
from services.intake.decide import decide
from services.intake.hydrate import store
from services.intake.hydrate.answer import Get
from services.intake.hydrate.decide import on_notice
from services.intake.hydrate.http import getter
from services.intake.hydrate.pace import Pace
from services.intake.hydrate.queue import Queue
from services.intake.hydrate.reading import BOOK, CLOCK, Hydration
from services.intake.outside import allowed
from services.intake.rules import SourceRules
from services.intake.settings import IntakeSettings
from services.intake.sources.secrets import SourceSecrets
from services.runtime.service import Call, Clock, Service
from services.runtime.verdict import Context, Incoming, Verdict


def build(settings: IntakeSettings, pace: Pace | None = None, get: Get | None = None) -> Service:
    """The service as the engine runs it. `get`: how APIs are asked, else over HTTP."""
    asked = get or getter(settings.hydrate_timeout_s, allowed(settings.outbound_allow))
    reading = Hydration(settings, asked, SourceSecrets(settings.source_secrets), pace or Pace())

    def on_event(event: Incoming, queue: Queue, context: Context) -> Verdict:
        if event.topic == LEADS_NOTIFIED.name:
            return on_notice(event, queue, context)
        return decide(event, settings.secret, context)

    return Service(
        name="intake",
        inputs=(LEADS_NOTIFIED, *map(source_topic, settings.source_names())),
        gather=store.gather,
        decide=on_event,
        apply=store.apply,
        clocks=(
            Call(
                CLOCK, timedelta(milliseconds=200), reading.claim, reading.call, reading.record, reading.take,
                reading.put_off,
            ),
            Clock("hydrate-backlog", timedelta(seconds=5), reading.measure),
        ),
        books={BOOK: SourceRules},
        for_ever=frozenset({LEADS_NOTIFIED.name}),
    )  # fmt: skip
