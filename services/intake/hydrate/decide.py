"""What becomes of a lead told by id: of a notice, and of an answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schemas.events.leads import LeadNotified, LeadReceived
from schemas.identity import address_hash
from services.intake.arrival import Accepted, Arrival, Refused
from services.intake.hydrate import tell
from services.intake.hydrate.answer import Denied, Down, Failed, Found, Gone, Limited, NotFound, NotTried, Problem
from services.intake.hydrate.pace import Pace, wait
from services.intake.hydrate.queue import Notice, Origin, Queue
from services.intake.sources.mapping import by_map
from services.intake.sources.source import Source
from services.intake.submission import lead_of, read_lead
from services.runtime.verdict import Context, Drop, Emit, Incoming, Outgoing, Verdict

_GIVEN_UP = {"not_found": "hydrate_not_found", "denied": "hydrate_denied", "down": "hydrate_failed"}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The rows as an answer leaves them, and what is told."""

    row: Notice
    state: Origin
    events: tuple[Outgoing, ...] = ()


def on_notice(event: Incoming, queue: Queue, context: Context) -> Verdict:
    """Queue a lead that is new; forget one that its source has erased, whatever became of it, whichever came first."""
    data: LeadNotified = event.data
    row = queue.rows[data.source, data.notice_id]
    if data.action == "deleted":
        queue.put(replace(_ended(row, "gone"), addresses=""))
        return Emit(tell.erasures(row, event, context.now))
    if row.state != "new":
        return Drop("known")
    place = f"{event.partition} {event.offset} {int(event.timestamp.timestamp() * 1000)}"
    queue.put(replace(
        row, state="pending", event_id=event.id, submission_id=data.correlation_id, notified_at=event.timestamp,
        act_at=context.now, value=event.body.decode(errors="replace").replace("\x00", ""), record_place=place,
    ))  # fmt: skip
    return Emit()


def read_answer(source: Source, notice_id: str, found: Found, now: datetime, secret: str) -> Accepted | Refused:
    """The lead that was found, under the id that its notice gave it; or why it is none."""
    source = source.model_copy(update={"id_field": None})
    content = by_map(found.content, source)
    return read_lead(Arrival(source, content, found.raw, notice_id, now, now, secret, mapped=True))


def conclude(
    row: Notice, state: Origin, answer: Accepted | Refused | Problem | Gone | NotTried, pace: Pace, now: datetime,
    secret: str, token: str | None,
) -> Conclusion:  # fmt: skip
    """What follows from an answer; one that was found as it was read.

    `row` and `state` as they are now, locked; `token`: digest of the one used.
    """
    match answer:
        case NotTried():
            return Conclusion(replace(row, act_at=now), state)
        case Denied(detail):
            return _denied(row, state, detail, pace, now, token)
        case Limited(after_s, detail):
            state = _slowed(state, after_s, pace, now)
            return Conclusion(replace(row, act_at=state.not_before, problem=detail), state)
        case Down(detail):
            state = _slowed(state, None, pace, now)
            return _again(row, state, "down", detail, pace, now)
        case Failed(detail):
            return _again(row, state, "failed", detail, pace, now)
    state, cleared = _working(row, state, now)
    match answer:
        case Accepted(_, events):
            done = replace(_ended(row, "done"), addresses=" ".join(_addresses(lead_of(events[0]), secret)))
            return Conclusion(done, state, (*cleared, *events))
        case Refused(faults):
            dead, letters = _dead(row, faults[0].code, "; ".join(fault.message for fault in faults), now)
            return Conclusion(dead, state, (*cleared, *letters))
        case Gone():
            return Conclusion(_ended(row, "gone"), state, cleared)
        case NotFound(detail):
            later = _again(row, state, "not_found", detail, pace, now)
            return replace(later, events=(*cleared, *later.events))


def _addresses(lead: LeadReceived, secret: str) -> list[str]:
    """Hashes by which an erasure knows the person; without an address that of the submission."""
    email, phone = lead.contact.email, lead.contact.phone
    hashes = [address_hash(secret, "email", email)] if email else []
    hashes += [address_hash(secret, "phone", phone)] if phone else []
    return hashes or [lead.identity]


def _denied(row: Notice, state: Origin, detail: str, pace: Pace, now: datetime, token: str | None) -> Conclusion:
    """A refusal parks the source. One that meets the same row again, though its source works, is that row's own."""
    if state.parked_at is None and row.problem == "denied":
        return _again(row, state, "denied", detail, pace, now)
    row, known = replace(row, act_at=now, problem="denied"), state.parked_at is not None
    state = replace(
        state, parked_at=state.parked_at or now, parked_why=detail, parked_token=token, probe_at=now + pace.probe_every,
        parks=state.parks + (not known),
    )  # fmt: skip
    return Conclusion(row, state, () if known else (tell.parked(row, state, now),))


def _working(row: Notice, state: Origin, now: datetime) -> tuple[Origin, tuple[Outgoing, ...]]:
    """The API answers: the source is slowed and parked no more."""
    well = replace(state, failures=0, parked_at=None, parked_why=None, parked_token=None, probe_at=None)
    return well, (tell.works_again(row, state, now),) if state.parked_at else ()


def _slowed(state: Origin, after_s: float | None, pace: Pace, now: datetime) -> Origin:
    """The whole source waits: as long as it asks, else longer each time."""
    failures = state.failures + 1
    span = wait(pace, state.source, failures) if after_s is None else timedelta(seconds=after_s)
    return replace(state, failures=failures, not_before=max(state.not_before, now + span))


def _again(row: Notice, state: Origin, problem: str, detail: str, pace: Pace, now: datetime) -> Conclusion:
    """Later again, until the patience with this problem is over."""
    since, tries = row.failing_since or now, row.tries + 1
    if now - since >= pace.patience[problem]:
        row, events = _dead(row, _GIVEN_UP.get(problem, "hydrate_failed"), f"{detail}, {tries} tries", now)
        return Conclusion(row, state, tuple(events))
    later = max(now + wait(pace, row.notice_id, tries), state.not_before)
    again = replace(row, state="retrying", act_at=later, tries=tries, failing_since=since, problem=problem)
    return Conclusion(again, state)


def _dead(row: Notice, reason: str, detail: str, now: datetime) -> tuple[Notice, Sequence[Outgoing]]:
    row = replace(row, state="dead", act_at=None, problem=reason, deaths=row.deaths + 1)
    return row, (tell.dead_letter(row, reason, detail, now),)


def _ended(row: Notice, state: str) -> Notice:
    """Nothing more is asked; a claim on its way finds that the row is not its own any more. The notice is forgotten."""
    return replace(row, state=state, act_at=None, problem=None, value=None, claims=row.claims + 1)
