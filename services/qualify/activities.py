"""What people did: whose activity it is, what it is worth, and what changes in the lead's score."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from schemas.events.activities import ActivityReceived, ActivityRecorded
from schemas.events.event import Reason
from schemas.topics import LEADS_ACTIVITIES
from services.qualify.engagement import added
from services.qualify.rules import BOOK, ScoringRules
from services.qualify.scoring import scored
from services.qualify.tell import frame, tell_lead
from services.qualify.world import Activity, World
from services.runtime.verdict import Context, Drop, Emit, Incoming, Outgoing, Verdict, Wait, outgoing


def activity_received(event: Incoming, world: World, context: Context) -> Verdict:
    """Record an activity of a known person; its points go to the lead that was opened last. Unknown people: wait."""
    data: ActivityReceived = event.data
    rules: ScoringRules = context.books[BOOK].rules
    person_id = world.owner(data.identity)
    if person_id is None:
        return Wait(data.identity)
    lead = world.newest_open_lead(person_id)
    points = rules.engagement.activities.get(data.activity, 0.0)
    at = min(data.occurred_at, context.now)  # a clock that runs ahead must not keep points from fading
    activity = Activity(event.id, person_id, lead.lead_id if lead else None, points, at)
    world.keep_activity(activity)
    why = Reason(code="activity", text=f"Activity of kind {data.activity}", points=points)
    rescored = _rescored(activity.lead_id, points, at, why, event, world, context)
    return Emit((_recorded(activity, points, event, context), *rescored))


def activity_retracted(event: Incoming, world: World, context: Context) -> Verdict:
    """Take away the points of an activity that proved not to be one (a mail scanner's click). Not seen yet: wait."""
    data: ActivityReceived = event.data
    activity = world.activities.get(data.retracts or "")
    if activity is None:
        return Wait(data.identity)
    if activity.retracted:
        return Drop("already_retracted")
    world.keep_activity(replace(activity, retracted=True))
    points = -activity.points
    why = Reason(code="activity_retracted", text=f"Activity of kind {data.activity} taken back", points=points)
    rescored = _rescored(activity.lead_id, points, activity.at, why, event, world, context)
    return Emit((_recorded(activity, points, event, context), *rescored))


def _recorded(activity: Activity, points: float, event: Incoming, context: Context) -> Outgoing:
    data: ActivityReceived = event.data
    properties = data.properties | {"retracts": data.retracts} if data.retracts else data.properties
    recorded = ActivityRecorded(
        **frame(event, context), activity_id=event.id, person_id=activity.person_id, lead_id=activity.lead_id,
        source=data.source, activity=data.activity, subject=data.subject, properties=properties, points=points,
        rules_version=context.books[BOOK].version,
    )  # fmt: skip
    return outgoing(LEADS_ACTIVITIES, "activity.recorded", activity.lead_id or activity.person_id, recorded)


def _rescored(
    lead_id: str | None, points: float, at: datetime, why: Reason, event: Incoming, world: World, context: Context
) -> tuple[Outgoing, ...]:
    """Add the points to the lead; an event only where score, warmth or priority changed."""
    if not lead_id or not points:
        return ()
    lead = world.leads[lead_id]
    rules: ScoringRules = context.books[BOOK].rules
    engagement = added(lead.engagement, points, at, rules.engagement)
    state, reasons = scored(lead.state.__dict__, engagement, rules)
    if state == lead.state:
        world.keep_lead(replace(lead, engagement=engagement))
        return ()
    return (tell_lead("lead.rescored", state, engagement, [why, *reasons], event, world, context),)
