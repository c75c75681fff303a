"""Steps: whether a due mail goes out now, and what follows from the mail server's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.events.event import derived_id
from schemas.events.touches import Touch
from schemas.topics import LEADS_TOUCHES
from services.nurture.audience import barrier
from services.nurture.consents import settle
from services.nurture.decide import end, reconsider_address
from services.nurture.rules import Mail, NurtureRules
from services.nurture.timing import capped_until, quiet_until, wait_after
from services.nurture.world import EMAIL, Cause, Consent, Enrolment, Lead, Step, StepKey, World
from services.runtime.verdict import Book, Context, Outgoing, outgoing


@dataclass(frozen=True, slots=True)
class Send:
    """The mail goes out now."""

    mail: Mail


@dataclass(frozen=True, slots=True)
class Delay:
    """The mail waits: quiet hours or the cap."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """The mail is not sent, and neither is what would follow it."""

    reason: str


Judgement = Send | Delay | Skip


@dataclass(frozen=True, slots=True)
class Due:
    """A step whose time has come, as the claim found it."""

    step: Step
    enrolment: Enrolment
    lead: Lead


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed step on its way. `applied_until` is what the claim saw; nobody else sends before `lease_until`."""

    due: Due
    judgement: Send | Skip
    book: Book
    applied_until: datetime
    lease_until: datetime
    last: bool = False

    @property
    def key(self) -> StepKey:
        """The key of its step."""
        return self.due.step.enrolment_id, self.due.step.step


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took the mail."""

    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take this mail; `hard`: the address does not exist."""

    answer: str
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not now. `away`: nobody to talk to. `uncertain`: the line broke when the mail was out and no answer in."""

    answer: str
    away: bool = False
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class NotTried:
    """Nothing was sent: the step is to be skipped, or the lease was too short for a call."""


@dataclass(frozen=True, slots=True)
class NotWritten:
    """A defect of ours, or of a template, came before the mail server was asked: nothing was sent."""


Result = Sent | Refused | Postponed | NotTried | NotWritten


def judge(
    due: Due, consents: Sequence[Consent], touches: Sequence[datetime], rules: NurtureRules, now: datetime
) -> Judgement:
    """Suppression, consent and the end of an enrolment cancel; quiet hours and the cap only delay."""
    if due.enrolment.reason is not None:
        return Skip(due.enrolment.reason)
    sequence = rules.sequence(due.enrolment.sequence)
    reason = barrier(due.lead, sequence, consents)
    if reason is not None or sequence is None:
        return Skip(reason or "sequence_removed")
    if due.step.step > len(sequence.steps):
        return Skip("step_removed")
    country = due.lead.facts.country if due.lead.facts else None
    until = quiet_until(rules.quiet_hours, country, now) or capped_until(touches, rules.cap, now)
    return Delay(until) if until else Send(sequence.steps[due.step.step - 1])


def conclude(job: Job, result: Result, world: World, context: Context) -> list[Outgoing]:
    """Write down what became of a step, and prepare the next. Nothing when another worker took the claim over."""
    found = job.due.step
    step = world.steps.rows.get((found.enrolment_id, found.step))
    if step is None or (step.state, step.attempts) != (found.state, found.attempts):
        return []
    if isinstance(job.judgement, Skip):
        step = replace(step, uncertain=step.uncertain or step.state == "claimed")  # its sender died: it may have gone
        return _done(job, step, "skipped", job.judgement.reason, world, context)
    match result:
        case Sent(answer):
            return _done(job, step, "sent", answer, world, context)
        case Refused(answer, hard):
            return _done(job, step, "failed", answer, world, context, hard=hard)
        case Postponed():
            return _postpone(job, step, result, world, context)
    world.steps.put((step.enrolment_id, step.step), replace(step, state="due", act_at=step.due_at))
    return []


def _postpone(job: Job, step: Step, result: Postponed, world: World, context: Context) -> list[Outgoing]:
    retry, refusals = job.book.rules.retry, step.refusals + 1
    step = replace(step, refusals=refusals, uncertain=step.uncertain or result.uncertain)
    # a mail is given up when its own attempts are used up, never because the mail server is away
    wait = wait_after(min(refusals, len(retry)) if result.away else refusals, retry)
    if wait is None:
        return _done(job, step, "failed", result.answer, world, context)
    due = context.now + wait
    row = replace(step, state="due", due_at=due, act_at=due, answer=result.answer, failures=0)
    world.steps.put((step.enrolment_id, step.step), row)
    return []


def _done(
    job: Job, step: Step, state: str, answer: str, world: World, context: Context, *, hard: bool = False
) -> list[Outgoing]:
    row = replace(step, state=state, act_at=None, answer=answer, failures=0)
    world.steps.put((step.enrolment_id, step.step), row)
    cause = cause_of(step, context.now, job.applied_until)
    events = [touch(step, job.due.enrolment, job.book, state, None if state == "sent" else answer, cause)]
    if hard:
        events += _suppress(job, answer, world, cause)
    enrolment = world.enrolments.rows[step.enrolment_id]
    if not enrolment.active:
        return events
    if state == "skipped":
        return [*events, end(enrolment, answer, world, job.book, cause)]
    sequence = job.book.rules.sequence(enrolment.sequence)
    if step.step >= len(sequence.steps):
        return [*events, end(enrolment, "completed", world, job.book, cause)]
    due = context.now + sequence.steps[step.step].after
    world.steps.put((step.enrolment_id, step.step + 1), Step(step.enrolment_id, step.step + 1, due, due))
    return events


def cause_of(step: Step, now: datetime, applied_until: datetime | None) -> Cause:
    """Why the end of a step is told: it was due."""
    return Cause(derived_id(step.enrolment_id, "step", step.step), now, now, step.due_at, applied_until)


def _suppress(job: Job, answer: str, world: World, cause: Cause) -> list[Outgoing]:
    address = job.due.lead.address or ""
    key = (address, EMAIL, job.book.rules.sequence(job.due.enrolment.sequence).purpose)
    told = settle(world, key, "suppressed", cause.occurred_at, cause, "nurture", job.due.enrolment.correlation_id,
                  "hard_bounce")  # fmt: skip
    return told + reconsider_address(address, world, job.book, cause)


def touch(step: Step, enrolment: Enrolment, book: Book, state: str, reason: str | None, cause: Cause) -> Outgoing:
    """What became of a step, as an event."""
    data = Touch(
        **cause.fields(),
        correlation_id=enrolment.correlation_id,
        lead_id=enrolment.lead_id,
        person_id=enrolment.person_id,
        enrolment_id=enrolment.enrolment_id,
        sequence=enrolment.sequence,
        step=step.step,
        message_id=step.message_id,
        reason=reason,
        uncertain=step.uncertain,
        rules_version=book.version,
    )
    return outgoing(LEADS_TOUCHES, f"touch.{state}", enrolment.lead_id, data)
