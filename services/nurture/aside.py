"""Steps that a defect of ours keeps from being dealt with: tried again a few times, then set aside for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from schemas.events.operations import Alert
from schemas.topics import INSIGHTS_ALERTS
from services.nurture.decide import BOOK, end
from services.nurture.steps import cause_of, touch
from services.nurture.timing import wait_after
from services.nurture.world import Cause, Enrolment, Step, World
from services.runtime.verdict import Context, Outgoing, outgoing

WAITS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
DEFECT = "defect"
"""Why a step failed and its enrolment ended: the fault is ours, and the log says where."""


def put_off(step: Step, enrolment: Enrolment, offered: bool, world: World, context: Context) -> list[Outgoing]:
    """Later again, after the last wait never. A mail that was offered may be out: it is set aside at once."""
    failures = step.failures + 1
    step = replace(step, failures=failures, uncertain=step.uncertain or step.state == "claimed")
    wait = wait_after(failures, WAITS)
    if wait is None or offered:
        return _set_aside(step, enrolment, world, context)
    until = context.now + wait
    world.steps.put((step.enrolment_id, step.step), replace(step, state="due", due_at=until, act_at=until))
    return []


def _set_aside(step: Step, enrolment: Enrolment, world: World, context: Context) -> list[Outgoing]:
    cause, book = cause_of(step, context.now, context.applied_until), context.books[BOOK]
    world.steps.put((step.enrolment_id, step.step), replace(step, state="failed", act_at=None, answer=DEFECT))
    ended = [end(enrolment, DEFECT, world, book, cause)] if enrolment.active else []
    return [touch(step, enrolment, book, "failed", DEFECT, cause), *ended, _alert(step, enrolment, cause)]


def _alert(step: Step, enrolment: Enrolment, cause: Cause) -> Outgoing:
    key = f"mail_set_aside:{step.enrolment_id}:{step.step}"
    again = "It may have been sent, so it" if step.uncertain else f"It failed {step.failures} times, so it"
    data = Alert(
        **cause.fields(), correlation_id=enrolment.correlation_id, alert=key, kind="mail_set_aside", service="nurture",
        text=f"A mail of sequence {enrolment.sequence} could not be dealt with. {again} was set aside and the sequence "
        "ended for this lead; nurture's log says at clock.put_off where it failed.",
        lead_id=enrolment.lead_id, details={"step": step.step, "uncertain": step.uncertain},
    )  # fmt: skip
    return outgoing(INSIGHTS_ALERTS, "alert.raised", key, data)
