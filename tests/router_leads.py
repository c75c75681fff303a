"""Leads, outcomes and rules for the router's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid5

from schemas.events.event import NAMESPACE
from schemas.events.leads import Contact, LeadQualified, LeadState, Origin
from schemas.events.outcomes import OutcomeReport
from schemas.topics import LEADS_QUALIFIED, OUTCOMES_RECEIVED
from services.router.rules import Routing
from services.router.views import LeadOf, Qualified
from services.runtime.rulebook import parse_book
from services.runtime.verdict import Book, Context, Incoming

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BODY = """
pools: [north, south]
default_pool: north
territories:
  - {name: the south, pool: south, when: {country: [ES], postcode: ["29", "41"]}}
reps:
  - {id: ana, name: Ana Prueba, pools: [north], destination: crm, weight: 2, capacity: 100}
  - {id: beto, name: Beto Prueba, pools: [north], destination: crm, capacity: 100}
  - {id: cleo, name: Cleo Prueba, pools: [north], destination: partner, capacity: 100}
  - {id: dina, name: Dina Prueba, pools: [south], destination: crm, capacity: 1}
first_response: {hot: 15m, warm: 1h, cold: 4h}
max_reassignments: 2
"""


def book(body: str = BODY) -> Book:
    return parse_book("routing", body, Routing)


def context(now: datetime = NOW, applied_until: datetime | None = None, rules: Book | None = None) -> Context:
    return Context(now, {"routing": rules or book()}, applied_until)


def uid(name: str | int) -> str:
    return str(uuid5(NAMESPACE, str(name)))


def lead(n: int = 1, **changes: object) -> LeadOf:
    """As the router sees it."""
    return LeadOf.model_validate_json(whole_lead(n, **changes).model_dump_json())


def whole_lead(n: int = 1, **changes: object) -> LeadState:
    facts: dict[str, object] = {
        "lead_id": uid(n), "person_id": uid(f"person {n}"), "product_line": "kitchens", "opened_at": NOW,
        "origin": Origin(source="web"), "contact": Contact(email=f"person{n}@example.com"), "warmth": "hot",
    }  # fmt: skip
    return LeadState.model_validate(facts | changes)


def qualified(n: int = 1, version: int = 1, kind: str = "lead.qualified", **changes: object) -> Incoming:
    state = whole_lead(n, **changes)
    cause = uid(f"{n} {version}")
    data = LeadQualified(
        occurred_at=NOW, recorded_at=NOW, cause_id=cause, correlation_id=uid(f"submission {n}"), version=version,
        lead=state, rules_version="scoring-1",
    )  # fmt: skip
    return told_by_qualify(uid(f"event {n} {version}"), kind, state.lead_id, data.model_dump_json().encode())


def told_by_qualify(event_id: str, kind: str, lead_id: str, body: bytes) -> Incoming:
    """An event of qualify's as the router reads it."""
    return incoming(event_id, kind, lead_id, Qualified.model_validate_json(body), LEADS_QUALIFIED.name, body)


def report(
    n: int, kind: str, by: str | None = "crm", key: str = "", on: str | None = None, **facts: object
) -> Incoming:
    """An outcome through intake `by` a destination's key, or `on` a destination's own topic."""
    data = OutcomeReport.model_validate({"lead_id": uid(n), "destination": by} | facts)
    topic = f"crm.{on}.outcomes.v1" if on else OUTCOMES_RECEIVED.name
    return incoming(uid(f"outcome {n} {kind} {key}"), kind, data.lead_id, data, topic)


def incoming(event_id: str, kind: str, key: str, data: object, topic: str, body: bytes = b"") -> Incoming:
    return Incoming(
        event_id, kind, "test", key, data, topic, 0, 0, NOW + timedelta(minutes=1), event_id, NOW.date(), body
    )


def kinds(events: Sequence[object]) -> list[str]:
    return [event.type for event in events]  # type: ignore[attr-defined]  # outgoing events
