"""Events and rules that the tests of qualify are made of."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.events.activities import ActivityReceived
from schemas.events.leads import LeadReceived
from schemas.events.outcomes import Outcome
from schemas.identity import address_hash, identity_hash
from schemas.topics import ACTIVITIES_RECEIVED, LEADS_OUTCOMES, LEADS_RECEIVED, Topic
from services.qualify.rules import ScoringRules
from services.runtime.rulebook import parse_book
from services.runtime.verdict import Context, Emit, Incoming, Outgoing, Verdict

SECRET = "a secret for tests, 32 characters."
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EMAIL, PHONE = "ana@example.org", "+34600000001"
BOOK_FILE = Path(__file__).parents[1] / "deploy/rules/scoring.yaml"
BOOK = parse_book("scoring", BOOK_FILE.read_text(), ScoringRules)
RULES: ScoringRules = BOOK.rules
CONTEXT = Context(NOW, {"scoring": BOOK})


def lead(
    n: int, email: str | None = EMAIL, phone: str | None = PHONE, at: datetime = NOW, role: bool = False, **fields: Any
) -> Incoming:
    contact = {"email": email, "phone": phone} | fields.pop("contact", {})
    data = {
        "source": "web", "identity": identity_hash(SECRET, email, phone, submission_id(n)), "body_hash": f"{n}",
        "raw": "", "origin": {"source": "web"}, "contact": contact,
        "email_quality": "role" if role else "ok" if email else "missing",
        "phone_quality": "ok" if phone else "missing",
    }  # fmt: skip
    return incoming(n, LEADS_RECEIVED, "lead.received", LeadReceived(**frame(n, at), **data | fields))


def activity(n: int, kind: str = "mail_click", at: datetime = NOW, identity: str | None = None) -> Incoming:
    data = {"source": "site", "identity": identity or email_hash(EMAIL), "activity": kind}
    return incoming(n, ACTIVITIES_RECEIVED, "activity.received", ActivityReceived(**frame(n, at), **data))


def retraction(n: int, retracts: Incoming) -> Incoming:
    data = {"source": "site", "identity": retracts.key, "activity": "mail_click", "retracts": retracts.id}
    return incoming(n, ACTIVITIES_RECEIVED, "activity.retracted", ActivityReceived(**frame(n, NOW), **data))


def outcome(n: int, lead_id: str, event_type: str, by_holder: bool = True, seen: int | None = None) -> Incoming:
    """What the CRM reported of a lead, of which it had been told that it stands for `seen` submissions."""
    said = {"lead_id": lead_id, "destination": "crm", "by_holder": by_holder, "seen_submissions": seen}
    data = Outcome(**frame(n, NOW) | {"correlation_id": submission_id(1)}, **said)
    return incoming(n, LEADS_OUTCOMES, event_type, data)


def email_hash(email: str) -> str:
    return address_hash(SECRET, "email", email)


def submission_id(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def frame(n: int, at: datetime) -> dict[str, Any]:
    return {"occurred_at": at, "recorded_at": at, "cause_id": submission_id(n), "correlation_id": submission_id(n)}


def incoming(n: int, topic: Topic, event_type: str, data: Any) -> Incoming:
    key = data.lead_id if isinstance(data, Outcome) else data.identity
    event_id = submission_id(n)
    return Incoming(event_id, event_type, "test", key, data, topic.name, 0, n, NOW, event_id, date(1970, 1, 1), b"")


def events_of(verdict: Verdict) -> tuple[Outgoing, ...]:
    assert isinstance(verdict, Emit), verdict
    return verdict.events


def types_of(verdict: Verdict) -> list[str]:
    return [event.type for event in events_of(verdict)]


def codes_of(event: Outgoing) -> list[str]:
    assert event.data is not None
    return [reason.code for reason in event.data.reasons]  # type: ignore[attr-defined]  # events about leads have reasons


def days(n: float) -> timedelta:
    return timedelta(days=n)
