"""The catalogue: every topic with its key, events, writers, readers and retention (DESIGN §3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from schemas.events import activities, assignments, leads, operations, outcomes, people, touches

DAY_MS = 86_400_000
MAX_RECORD_BYTES = 1_048_576
MAX_DEAD_LETTER_BYTES = 2 * MAX_RECORD_BYTES + 1_048_576


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `retention_days` None = for ever; `foreign` = others write it, so anything may be on it."""

    name: str
    key: str
    models: tuple[type[BaseModel], ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    retention_days: int | None = 14
    compacted: bool = False
    foreign: bool = False
    single_partition: bool = False
    max_bytes: int = MAX_RECORD_BYTES

    events: Mapping[str, type[BaseModel]] = field(init=False, repr=False, compare=False)
    """Model by CloudEvents type."""

    def __post_init__(self) -> None:
        """Look the types up once: they are asked for with every record."""
        by_type = {t: model for model in self.models for t in model.types}  # type: ignore[attr-defined]  # each lists its own
        object.__setattr__(self, "events", MappingProxyType(by_type))

    def config(self) -> dict[str, str]:
        """Kafka's topic settings, as `create_topics` takes them."""
        settings = {
            "segment.ms": str(DAY_MS),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_bytes),
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": "-1" if self.retention_days is None else str(self.retention_days * DAY_MS),
        }
        if self.compacted:
            settings |= {
                "min.compaction.lag.ms": str(7 * DAY_MS),
                "max.compaction.lag.ms": str(8 * DAY_MS),
                "delete.retention.ms": str(7 * DAY_MS),
                "retention.ms": "-1",
            }
        return settings


ALL = ("intake", "qualify", "router", "nurture", "analytics")

LEADS_RECEIVED = Topic(
    "leads.received.v1", "identity hash", (leads.LeadReceived,), ("intake",), ("qualify", "analytics")
)
LEADS_NOTIFIED = Topic(
    "leads.notified.v1", "source, notice id", (leads.LeadNotified,), ("intake",), ("intake", "analytics")
)
ACTIVITIES_RECEIVED = Topic(
    "activities.received.v1", "identity hash", (activities.ActivityReceived,),
    ("intake", "nurture"), ("qualify", "analytics"))  # fmt: skip
LEADS_QUALIFIED = Topic(
    "leads.qualified.v1", "lead id", (leads.LeadQualified, leads.SubmissionClosed),
    ("qualify",), ("router", "nurture", "analytics"))  # fmt: skip
PEOPLE_CHANGED = Topic(
    "people.changed.v1", "person id", (people.PersonChanged,),
    ("qualify",), ("nurture", "analytics", "CRMs"), None, compacted=True)  # fmt: skip
LEADS_ACTIVITIES = Topic(
    "leads.activities.v1", "lead id, else person id", (activities.ActivityRecorded,),
    ("qualify",), ("router", "nurture", "analytics"))  # fmt: skip
LEADS_ASSIGNED = Topic(
    "leads.assigned.v1", "lead id", (assignments.Assignment,),
    ("router",), ("nurture", "analytics", "CRMs"), None, compacted=True)  # fmt: skip
OUTCOMES_RECEIVED = Topic(
    "outcomes.received.v1", "lead id", (outcomes.OutcomeReport,), ("intake",), ("router", "analytics")
)
LEADS_OUTCOMES = Topic(
    "leads.outcomes.v1", "lead id", (outcomes.Outcome,), ("router",), ("qualify", "nurture", "analytics")
)
LEADS_TOUCHES = Topic(
    "leads.touches.v1", "lead id", (touches.Touch, touches.Enrolment),
    ("nurture",), ("qualify", "analytics"))  # fmt: skip
CONSENTS_RECEIVED = Topic(
    "consents.received.v1", "address hash", (people.ConsentReceived,), ("intake",), ("nurture", "analytics")
)
PEOPLE_CONSENTS = Topic(
    "people.consents.v1", "address hash, channel, purpose", (people.ConsentChanged,),
    ("nurture",), ("qualify", "router", "analytics"), None, compacted=True)  # fmt: skip
PEOPLE_ERASURES = Topic(
    "people.erasures.v1", "address hash, person id",
    (people.ErasureRequested, people.ErasureResolved, people.ErasureDone),
    ("intake", "qualify", "command line", *ALL), ALL, 90)  # fmt: skip
CAMPAIGNS_RESULTS = Topic(
    "campaigns.results.v1", "campaign", (operations.CampaignResult,), ("intake",), ("analytics",), 90
)
RULES_PUBLISHED = Topic(
    "rules.published.v1", "book", (operations.RulesPublished, operations.RulesActivated),
    ("command line", "console"), ALL, None, single_partition=True)  # fmt: skip
INSIGHTS_ALERTS = Topic(
    "insights.alerts.v1", "alert key", (operations.Alert,), ALL, ("operations", "CRMs", "analytics"), 30
)
DEADLETTERS = Topic(
    "deadletters.v1", "original key", (operations.DeadLetter,), ALL, ("analytics",),
    max_bytes=MAX_DEAD_LETTER_BYTES)  # fmt: skip

CATALOGUE: tuple[Topic, ...] = (
    LEADS_NOTIFIED, LEADS_RECEIVED, ACTIVITIES_RECEIVED, LEADS_QUALIFIED, PEOPLE_CHANGED, LEADS_ACTIVITIES,
    LEADS_ASSIGNED,
    OUTCOMES_RECEIVED, LEADS_OUTCOMES, LEADS_TOUCHES, CONSENTS_RECEIVED, PEOPLE_CONSENTS, PEOPLE_ERASURES,
    CAMPAIGNS_RESULTS, RULES_PUBLISHED, INSIGHTS_ALERTS, DEADLETTERS,
)  # fmt: skip


def source_topic(source: str) -> Topic:
    """The topic that the platform behind a source of kind `kafka` writes."""
    return Topic(f"sources.{source}.v1", "theirs", (), (source,), ("intake",), foreign=True)


def destination_leads(destination: str) -> Topic:
    """The assigned leads of one destination alone."""
    return Topic(
        f"crm.{destination}.leads.v1", "lead id", (assignments.Assignment,), ("router",), (destination,),
        None, compacted=True)  # fmt: skip


def destination_outcomes(destination: str) -> Topic:
    """What one destination reports back."""
    return Topic(
        f"crm.{destination}.outcomes.v1", "lead id", (outcomes.OutcomeReport,), (destination,),
        ("router", "analytics"), foreign=True)  # fmt: skip


def all_topics(sources: tuple[str, ...] = (), destinations: tuple[str, ...] = ()) -> Iterator[Topic]:
    """The catalogue, and the topics that the configured sources and destinations add to it."""
    yield from CATALOGUE
    yield from map(source_topic, sources)
    for destination in destinations:
        yield destination_leads(destination)
        yield destination_outcomes(destination)
