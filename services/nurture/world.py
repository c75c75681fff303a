"""The rows that a batch works on, and which of them it changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")
ConsentKey = tuple[str, str, str]
StepKey = tuple[str, int]
EMAIL = "email"
EVERY_PURPOSE = "all"
"""A consent, withdrawal or suppression of this purpose speaks about all purposes."""


class Facts(NamedTuple):
    """What nurture keeps of a lead: enough to choose a sequence and to write a mail. New fields go to the end."""

    person_id: str
    correlation_id: str
    status: str
    is_test: bool
    warmth: str
    score: float
    origin_type: str
    product_line: str
    product: str | None = None
    email: str | None = None
    name: str | None = None
    company: str | None = None
    country: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead; `seen_version` 0 is a bare row. Without `facts` there is nothing to nurture."""

    lead_id: str
    seen_version: int = 0
    address: str | None = None
    outcomes: frozenset[str] = frozenset()
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One lead in one sequence, active until it has a reason to have ended."""

    enrolment_id: str
    lead_id: str
    person_id: str
    sequence: str
    correlation_id: str
    started_at: datetime
    reason: str | None = None

    @property
    def active(self) -> bool:
        """Whether it still goes on."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Step:
    """One mail of an enrolment.

    `act_at`: when a worker may take it (due, or lease over), None once done. `attempts` numbers the claims, so a
    worker knows its own. `uncertain`: an earlier claim may have sent it although nobody recorded that. `failures`: how
    often in a row a defect of ours kept it from being dealt with.
    """

    enrolment_id: str
    step: int
    due_at: datetime
    act_at: datetime | None
    state: str = "due"  # due | claimed | sent | failed | skipped
    attempts: int = 0
    refusals: int = 0
    uncertain: bool = False
    address: str | None = None
    claimed_at: datetime | None = None
    message_id: str | None = None
    answer: str | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Consent:
    """What holds for one address hash, channel and purpose; `version` 0 is a bare row."""

    address: str
    channel: str
    purpose: str
    version: int = 0
    state: str | None = None
    decided_at: datetime | None = None
    event_id: str | None = None
    value: str | None = None


@dataclass(slots=True)
class Rows(Generic[K, V]):
    """Frozen rows by key, and the keys whose row was replaced."""

    rows: dict[K, V] = field(default_factory=dict)
    changed: dict[K, None] = field(default_factory=dict)

    def put(self, key: K, row: V) -> V:
        """Replace a row, or add one."""
        self.rows[key] = row
        self.changed[key] = None
        return row


@dataclass(slots=True)
class World:
    """Everything that is locked for one batch or one record of a mail."""

    leads: Rows[str, Lead] = field(default_factory=Rows)
    enrolments: Rows[str, Enrolment] = field(default_factory=Rows)
    steps: Rows[StepKey, Step] = field(default_factory=Rows)
    consents: Rows[ConsentKey, Consent] = field(default_factory=Rows)
    hashes: dict[str, str] = field(default_factory=dict)
    _of_lead: dict[str, list[str]] = field(default_factory=dict)
    _of_address: dict[str, list[ConsentKey]] = field(default_factory=dict)
    _leads_of: dict[str, set[str]] = field(default_factory=dict)

    def load(
        self, consents: Iterable[Consent], leads: Iterable[Lead], enrolments: Iterable[Enrolment], steps: Iterable[Step]
    ) -> None:
        """Take in rows as they stand in the tables."""
        for consent in consents:
            key = (consent.address, consent.channel, consent.purpose)
            self.consents.rows[key] = consent
            self._of_address.setdefault(consent.address, []).append(key)
        for lead in leads:
            self.leads.rows[lead.lead_id] = lead
            self._leads_of.setdefault(lead.address or "", set()).add(lead.lead_id)
        for enrolment in enrolments:
            self.enrolments.rows[enrolment.enrolment_id] = enrolment
            self._of_lead.setdefault(enrolment.lead_id, []).append(enrolment.enrolment_id)
        self.steps.rows.update(((step.enrolment_id, step.step), step) for step in steps)

    def consents_at(self, address: str | None) -> list[Consent]:
        """What is known about one address, over all channels and purposes."""
        return [self.consents.rows[key] for key in self._of_address.get(address or "", ())]

    def leads_at(self, address: str) -> list[Lead]:
        """Leads whose present address this is, in the order of their ids."""
        once = (self.leads.rows[lead_id] for lead_id in sorted(self._leads_of.get(address, ())))
        return [lead for lead in once if lead.address == address]

    def put_lead(self, lead: Lead) -> None:
        """Replace a lead, whose address may be a new one."""
        self.leads.put(lead.lead_id, lead)
        self._leads_of.setdefault(lead.address or "", set()).add(lead.lead_id)

    def enrolments_of(self, lead_id: str) -> list[Enrolment]:
        """All enrolments of a lead, ended ones too."""
        return [self.enrolments.rows[key] for key in self._of_lead.get(lead_id, ())]

    def start(self, enrolment: Enrolment, first: Step) -> None:
        """Add an enrolment with its first step."""
        self.enrolments.put(enrolment.enrolment_id, enrolment)
        self._of_lead.setdefault(enrolment.lead_id, []).append(enrolment.enrolment_id)
        self.steps.put((first.enrolment_id, first.step), first)

    def end(self, enrolment: Enrolment, reason: str) -> Enrolment:
        """End an enrolment and what is due of it; a mail that is on its way stays with whoever carries it."""
        for key in [k for k, s in self.steps.rows.items() if k[0] == enrolment.enrolment_id and s.state == "due"]:
            self.steps.put(key, replace(self.steps.rows[key], state="skipped", act_at=None, answer=reason))
        return self.enrolments.put(enrolment.enrolment_id, replace(enrolment, reason=reason))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is decided now: an event or a due row. `due_at` and `applied_until` stand for clocks only."""

    id: str
    occurred_at: datetime
    recorded_at: datetime
    due_at: datetime | None = None
    applied_until: datetime | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of every event that follows from this cause."""
        return {
            "cause_id": self.id, "occurred_at": self.occurred_at, "recorded_at": self.recorded_at,
            "due_at": self.due_at, "applied_until": self.applied_until,
        }  # fmt: skip
