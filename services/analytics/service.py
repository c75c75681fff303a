"""Analytics: every event once, as a fact; the aggregates of the closed loop; what the console shows live.

Reads every topic but the rule books, and what each destination reports. Writes none. Reports, timelines and the
console (`python -m services.analytics.console`) read the tables.
"""

from __future__ import annotations

from datetime import timedelta

from schemas.topics import (
    ACTIVITIES_RECEIVED,
    CATALOGUE,
    CONSENTS_RECEIVED,
    LEADS_NOTIFIED,
    LEADS_RECEIVED,
    OUTCOMES_RECEIVED,
    RULES_PUBLISHED,
    destination_outcomes,
)
from services.analytics.decide import decide
from services.analytics.settings import AnalyticsSettings
from services.analytics.store import apply, gatherer, prune
from services.analytics.views import seen
from services.runtime.service import Clock, Service

RETRIED = frozenset(
    t.name for t in (LEADS_NOTIFIED, LEADS_RECEIVED, ACTIVITIES_RECEIVED, CONSENTS_RECEIVED, OUTCOMES_RECEIVED)
)
"""Topics where a sender's retry comes with the same id on another day, so that ids must be known for ever."""


def build(settings: AnalyticsSettings) -> Service:
    """Analytics as the engine runs it. Its inbox keeps the data: it is the table of facts."""
    return Service(
        name="analytics",
        inputs=(
            *(seen(topic) for topic in CATALOGUE if topic is not RULES_PUBLISHED),
            *map(destination_outcomes, settings.destination_names()),
        ),
        gather=gatherer(settings.worker),
        decide=decide,
        apply=apply,
        clocks=(Clock("prune", timedelta(minutes=1), prune),),
        keep_data=True,
        patient=True,
        for_ever=RETRIED,
    )
