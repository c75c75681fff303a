"""Events of invented leads, and a feed that takes them into analytics as the engine does, without a broker."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import codec, topics
from schemas.events.assignments import Assignment, Owner
from schemas.events.event import Event, Reason, derived_id
from schemas.events.leads import Contact, LeadQualified, LeadReceived, LeadState, Origin, SubmissionClosed
from schemas.events.operations import DeadLetter
from schemas.events.outcomes import Outcome, OutcomeReport
from schemas.identity import identity_hash
from schemas.topics import Topic
from services.analytics.service import build
from services.analytics.settings import AnalyticsSettings
from services.runtime import fence
from services.runtime.batch import Batches
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.inbox import Inbox
from services.runtime.postgres import Session, connect, migrate, transaction
from services.runtime.transport import Record
from services.runtime.verdict import Context

SECRET = "an-installation-secret-of-the-tests"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIRST = ("Ana", "Luis", "Marta", "Jon", "Priya", "Tom", "Chloé", "Ирина")
LAST = ("García López", "Smith", "Núñez", "Okafor", "Schmidt", "Rossi")
REPS = (("rep-ana", "Ana Torres"), ("rep-bo", "Bo Larsen"), ("rep-cy", "Cy Adeyemi"))
DETAIL = "KeyError while deciding lead.received"
CRM_OUTCOMES = topics.destination_outcomes("crm")
SOURCES = ("web-form", "meta-ads", "google-ads", "fair-madrid")


@dataclass(frozen=True)
class Story:
    """One invented lead, and the events that the services would write about it."""

    n: int
    at: datetime = START
    source: str = "web-form"
    campaign: str | None = "spring"
    rep: tuple[str, str] = REPS[0]
    warmth: str = "warm"
    wait: timedelta = timedelta(milliseconds=42)
    is_test: bool = False
    name: str = "Ana García"

    @property
    def submission_id(self) -> str:
        return derived_id("story", "submission", self.n)

    @property
    def lead_id(self) -> str:
        return derived_id(self.submission_id, "lead")

    @property
    def email(self) -> str:
        return f"person{self.n}@example.com"

    @property
    def identity(self) -> str:
        return identity_hash(SECRET, self.email, None, self.submission_id)

    def _common(self, after: timedelta, version: int = 0) -> dict[str, Any]:
        moment = self.at + after
        return {"occurred_at": moment, "recorded_at": moment, "cause_id": self.submission_id,
                "correlation_id": self.submission_id, "version": version}  # fmt: skip

    def _origin(self) -> Origin:
        return Origin(source=self.source, campaign=self.campaign)

    def state(self, warmth: str | None = None) -> LeadState:
        return LeadState(
            lead_id=self.lead_id, person_id=derived_id(self.submission_id, "person"), product_line="solar",
            opened_at=self.at, origin=self._origin(), contact=Contact(email=self.email, full_name=self.name),
            warmth=warmth or self.warmth, score=61.0, is_test=self.is_test,
        )  # fmt: skip

    def received(self) -> Record:
        data = LeadReceived(
            **self._common(timedelta(0)), source=self.source, identity=self.identity, origin=self._origin(),
            contact=Contact(email=self.email, full_name=self.name), body_hash="0" * 64, raw="{}",
        )  # fmt: skip
        return record(topics.LEADS_RECEIVED, "lead.received", self.identity, data, self.submission_id)

    def qualified(self, version: int = 1, warmth: str | None = None, kind: str = "lead.qualified") -> Record:
        data = LeadQualified(
            **self._common(self.wait / 2, version), lead=self.state(warmth),
            submission_id=self.submission_id if kind != "lead.rescored" else None, rules_version="qualify-1",
            reasons=(Reason(code="score", text=f"Asked for a quote <b>{self.n}</b>", points=30.0),),
        )  # fmt: skip
        return record(topics.LEADS_QUALIFIED, kind, self.lead_id, data)

    def set_aside(self, kind: str = "lead.disqualified") -> Record:
        data = SubmissionClosed(
            **self._common(self.wait / 2, 1), lead_id=self.lead_id, submission_id=self.submission_id,
            origin=self._origin(), contact=Contact(), is_test=self.is_test, rules_version="qualify-1",
        )  # fmt: skip
        return record(topics.LEADS_QUALIFIED, kind, self.lead_id, data)

    def assigned(self, version: int = 1, kind: str = "lead.assigned", rep: tuple[str, str] | None = None,
                 turn: str | None = None) -> Record:  # fmt: skip
        rep_id, name = rep or self.rep
        parked = kind == "lead.parked"
        data = Assignment(
            **self._common(self.wait * version, version), lead_id=self.lead_id, lead=self.state(),
            state={"lead.parked": "parked", "lead.closed": "closed"}.get(kind, "assigned"),
            owner=None if parked else Owner(
                rep_id=rep_id, name=name, pool="north", destination="crm", number=self.n, load=3, capacity=20),
            attempt=version, assigned_at=None if parked else self.at + self.wait * version,
            reasons=(Reason(code="turn", text=turn or f"{name} was next in turn in pool north"),),
            rules_version="router-1",
        )  # fmt: skip
        return record(topics.LEADS_ASSIGNED, kind, self.lead_id, data)

    def outcome(self, kind: str, after: timedelta = timedelta(hours=1), value: float | None = None) -> Record:
        data = Outcome(**self._common(after), lead_id=self.lead_id, destination="crm", rep_id=self.rep[0],
                       value=value, currency="EUR" if value else None)  # fmt: skip
        return record(topics.LEADS_OUTCOMES, kind, self.lead_id, data, derived_id(self.lead_id, f"{kind}{after}"))

    def reported(self, kind: str, n: int = 0) -> Record:
        """As the CRM says it, on its own topic."""
        data = OutcomeReport(lead_id=self.lead_id, rep_id=self.rep[0])
        event_id, at = derived_id(self.lead_id, kind, n), self.at + timedelta(minutes=5)
        return record(CRM_OUTCOMES, kind, self.lead_id, data, event_id, at)

    def judged(self, kind: str, n: int = 0) -> Record:
        """The same as router tells it, once it has found that the CRM may say so."""
        cause = {"cause_id": codec.inbox_id(CRM_OUTCOMES, "caudal", derived_id(self.lead_id, kind, n))}
        data = Outcome(**self._common(timedelta(minutes=6)) | cause, lead_id=self.lead_id, destination="crm")
        return record(topics.LEADS_OUTCOMES, kind, self.lead_id, data)

    def given_up(self, service: str = "qualify", reason: str = "handler_error", detail: str = DETAIL) -> Record:
        letter = DeadLetter(
            service=service, reason=reason, detail=detail,
            topic=topics.LEADS_RECEIVED.name, partition=0, offset=self.n, timestamp_ms=0, event_id=self.submission_id,
            event_type="lead.received", recorded_at=self.at.isoformat(), raw_value="e30=", sha256="0" * 64,
        )  # fmt: skip
        event_id = derived_id(self.submission_id, f"dead.{service}")
        return record(topics.DEADLETTERS, "deadletter.recorded", self.identity, letter, event_id, at=self.at)

    def whole(self) -> tuple[Record, ...]:
        return (self.received(), self.qualified(), self.assigned())


_offsets = itertools.count()


def record(
    topic: Topic, kind: str, key: str, data: Any, event_id: str | None = None, at: datetime | None = None
) -> Record:
    """The event as it would lie on its topic."""
    moment = data.recorded_at if isinstance(data, Event) else at or START
    event_id = event_id or derived_id(data.cause_id, kind, data.version)
    value = data.model_dump_json(exclude_none=True).encode()
    headers = codec.write(event_id, kind, "caudal")
    return Record(topic.name, 0, next(_offsets), int(moment.timestamp() * 1000), key.encode(), value, headers)


@dataclass
class Feed:
    """Analytics on one database, fed by hand: each `take` is one batch of the engine."""

    dsn: str
    worker: str = "1"
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        migrate(self.dsn, "analytics", ("services.runtime", "services.analytics"))
        settings = AnalyticsSettings(worker=self.worker, postgres=self.dsn)
        service = build(settings)
        self.session = connect(self.dsn, "analytics", f"test-{self.worker}")
        decoder = Decoder({t.name: t for t in service.inputs}, service.for_ever)
        self._batches = Batches(service, decoder, Inbox(keep_data=True), Faults())
        names = {t.name: 1 for t in service.inputs}
        with transaction(self.session) as cursor:
            fence.create(cursor, names)
            taken = fence.take(cursor, [(name, 0) for name in names], self.worker)
        self._epochs = {partition: epoch for partition, (epoch, _) in taken.items()}

    def take(self, records: Sequence[Record], now: datetime = START) -> int:
        """Take one batch in; how many of its records were new."""
        entries = [self._batches.decoder.entry(r) for r in records]
        result = self._batches.run(self.session, self._epochs, entries, Context(now))
        return result.counts["taken"]

    def close(self) -> None:
        self.session.close()
