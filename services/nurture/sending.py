"""The mail clock: claim due steps with a lease, hand each to the mail server, record its answer (DESIGN §4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.errors import MessageError

import structlog
from jinja2 import TemplateError

from schemas import tokens
from services.nurture import aside, store
from services.nurture.audience import spoken
from services.nurture.channels.letters import Letters, plain
from services.nurture.channels.mail import Envelope, compose, message_id
from services.nurture.channels.smtp import Line
from services.nurture.decide import BOOK
from services.nurture.rules import Mail, NurtureRules
from services.nurture.settings import NurtureSettings
from services.nurture.steps import (
    Delay,
    Due,
    Job,
    NotTried,
    NotWritten,
    Refused,
    Result,
    Send,
    Skip,
    conclude,
    judge,
)
from services.nurture.world import EMAIL, Facts, Step, StepKey, World
from services.runtime import metrics
from services.runtime.postgres import Cursor
from services.runtime.verdict import Context, Outgoing

log = structlog.get_logger()
CLOCK = "mail"


@dataclass(frozen=True, slots=True)
class Post:
    """Sends what is due: the parts of a `Call`.

    `passed_over`: steps that were put off, and until when this worker claims them no more. Those that could not even
    be put off stay due, and would fill every claim.
    """

    settings: NurtureSettings
    letters: Letters
    line: Line
    passed_over: dict[StepKey, datetime] = field(default_factory=dict, compare=False)

    def claim(self, cursor: Cursor, context: Context) -> list[StepKey]:
        """Lock due steps, as far as all inputs are applied."""
        if context.applied_until is None:
            return []
        for key in [key for key, until in self.passed_over.items() if until <= context.now]:
            del self.passed_over[key]
        horizon = min(context.now, context.applied_until)
        return store.claimable(cursor, horizon, self.settings.mail_batch, list(self.passed_over))

    def take(self, cursor: Cursor, keys: Sequence[StepKey], context: Context) -> list[Job]:
        """Judge locked steps: those that may go out are marked as ours until the lease ends, the others wait or end."""
        found = store.due_steps(cursor, keys)
        rules: NurtureRules = context.books[BOOK].rules
        addresses = sorted({due.lead.address for due in found if due.lead.address})
        consents = store.consents_at(cursor, addresses)
        touches = store.recent_touches(cursor, addresses, context.now - timedelta(days=rules.cap.days))
        jobs: list[Job] = []
        rows: list[Step] = []
        for due in found:
            address, key = due.lead.address or "", (due.step.enrolment_id, due.step.step)
            others = [at for step, at in touches.get(address, {}).items() if step != key]
            judgement = judge(due, consents.get(address, ()), others, rules, context.now)
            match judgement:
                case Delay(until):
                    rows.append(_waiting(due.step, until))
                case Skip():
                    jobs.append(self._job(due, judgement, context))
                case Send():
                    rows.append(self._claimed(due, rules, context))
                    touches.setdefault(address, {})[key] = context.now
                    jobs.append(self._job(replace(due, step=rows[-1]), judgement, context))
        store.write_steps(cursor, rows)
        return [*jobs[:-1], replace(jobs[-1], last=True)] if jobs else []

    def call(self, job: Job, context: Context) -> Result:
        """Send one mail, or say why not. Runs outside of any transaction."""
        try:
            return self._send(job, job.judgement.mail) if isinstance(job.judgement, Send) else NotTried()
        finally:
            if job.last:
                self.line.hang_up()

    def record(self, cursor: Cursor, job: Job, result: Result, context: Context) -> Sequence[Outgoing]:
        """Write down the answer, unless somebody else took the claim over meanwhile."""
        if isinstance(result, NotWritten):
            return _put_off(cursor, job, context, offered=False)
        world, address = World(), job.due.lead.address
        hit = {address} if address and isinstance(result, Refused) and result.hard else set()
        sequence = job.book.rules.sequence(job.due.enrolment.sequence)
        keys = {(a, EMAIL, sequence.purpose) for a in hit}
        store.load(cursor, world, keys, hit, {job.due.lead.lead_id}, hit)
        events = conclude(job, result, world, context)
        store.apply(cursor, world)
        return events

    def put_off(self, cursor: Cursor, row: StepKey | Job, context: Context) -> Sequence[Outgoing]:
        """A step that could not be judged, or whose mail or record failed by a defect: later again, or set aside."""
        self.passed_over[row.key if isinstance(row, Job) else row] = context.now + aside.WAITS[0]
        return _put_off(cursor, row, context, offered=isinstance(row, Job) and isinstance(row.judgement, Send))

    def _claimed(self, due: Due, rules: NurtureRules, context: Context) -> Step:
        step = due.step
        return replace(
            step, state="claimed", attempts=step.attempts + 1, act_at=self._lease_until(context),
            uncertain=step.uncertain or step.state == "claimed", address=due.lead.address, claimed_at=context.now,
            message_id=step.message_id or message_id(step.enrolment_id, step.step, rules.sender),
        )  # fmt: skip

    def _job(self, due: Due, judgement: Send | Skip, context: Context) -> Job:
        assert context.applied_until is not None, "claimed only when it is known"  # noqa: S101  # narrows the type
        return Job(due, judgement, context.books[BOOK], context.applied_until, self._lease_until(context))

    def _lease_until(self, context: Context) -> datetime:
        return context.now + timedelta(seconds=self.settings.mail_lease_s)

    def _send(self, job: Job, mail: Mail) -> Result:
        now = datetime.now(UTC)
        if now + timedelta(seconds=self.settings.longest_call_s) > job.lease_until:
            return NotTried()
        facts, rules = job.due.lead.facts, job.book.rules
        if facts is None or facts.email is None:
            return Refused("no_address")
        try:
            body = self._compose(job, mail, facts, facts.email, now)
        except TemplateError:
            return Refused("template_error")
        except (ValueError, MessageError):
            return Refused("address_invalid")
        except Exception:
            log.exception("clock.put_off", clock=CLOCK)
            metrics.CLOCK_PUT_OFF.labels("nurture", CLOCK).inc()
            return NotWritten()
        return self.line.hand_over(rules.sender.address, facts.email, body)

    def _compose(self, job: Job, mail: Mail, facts: Facts, email: str, now: datetime) -> bytes:
        rules, step = job.book.rules, job.due.step
        sequence = rules.sequence(job.due.enrolment.sequence)
        token = tokens.sign(self.settings.secret, step.address or "", EMAIL, sequence.purpose)
        url = f"{self.settings.public_url.rstrip('/')}/u/{token}"
        language, name = spoken(facts.language, mail.subject, rules.default_language), plain(facts.name, 40)
        data = {
            "name": name, "company": plain(facts.company), "product": plain(facts.product), "sender": rules.sender,
            "unsubscribe_url": url,
        }  # fmt: skip
        letter = self.letters.write(mail.template, language, mail.subject[language], data)
        envelope = Envelope(email, name, step.message_id or "", now, language, url, token)
        return compose(letter, rules.sender, envelope)


def _waiting(step: Step, until: datetime) -> Step:
    """The same step for later; a claim whose lease ran out stays uncertain."""
    uncertain = step.uncertain or step.state == "claimed"
    return replace(step, state="due", due_at=until, act_at=until, uncertain=uncertain)


def _put_off(cursor: Cursor, row: StepKey | Job, context: Context, *, offered: bool) -> Sequence[Outgoing]:
    found, key = (row.due.step, row.key) if isinstance(row, Job) else (None, row)
    own = store.step_alone(cursor, key)
    if own is None or (found and (own[0].state, own[0].attempts) != (found.state, found.attempts)):
        return []
    step, enrolment = own
    if isinstance(row, Job) and isinstance(row.judgement, Send) and not offered:
        step = replace(step, state="due")  # the claim is our own and nothing went out: no doubt follows from it
    world = World()
    world.load((), (), [enrolment], [step])
    events = aside.put_off(step, enrolment, offered, world, context)
    store.apply(cursor, world)
    return events
