"""Invented submissions for benches and crash runs: the same seed gives the same people, and none of them exists."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

from schemas import codec
from schemas.events.event import derived_id
from schemas.events.leads import Contact, LeadReceived, Origin
from schemas.identity import identity_hash
from schemas.topics import LEADS_RECEIVED
from services.runtime.transport import Message

GIVEN = ("Ana", "Luis", "Marta", "Jorge", "Elena", "Pablo", "Grace", "Oliver", "Hannah", "Peter", "Lucía", "Iván")
FAMILY = ("García", "Pérez", "Soto", "Ruiz", "Vega", "Smith", "Brown", "Taylor", "Walker", "Molina", "Rey", "Ibarra")
COUNTRIES = (("ES", "+34600{:06d}"), ("GB", "+447700900{:03d}"), ("US", "+1202555{:04d}"), ("MX", "+5255{:08d}"))
SOURCES = (
    ("website", "net", "web"),
    ("landing-pages", "net", "landing"),
    ("phone-desk", "seed", "phone"),
    ("fair", "net", "fair"),
)
PRODUCTS = ("crm", "telephony", "analytics", None)


def submission(rng: random.Random, number: int, secret: str, run: str) -> LeadReceived:
    """The `number`-th submission of a run: a person of their own, with an address in a reserved domain."""
    now = datetime.now(UTC)
    given, family = rng.choice(GIVEN), rng.choice(FAMILY)
    country, pattern = rng.choice(COUNTRIES)
    source, origin_type, channel = rng.choice(SOURCES)
    submission_id = derived_id(run, "submission", number)
    email = f"person{number}.{run}@example.com"
    phone = pattern.format(number % 10**6) if country == "ES" and number < 10**6 else None
    body = f'{{"email":"{email}","name":"{given} {family}","phone":"{phone or ""}"}}'
    return LeadReceived(
        occurred_at=now, recorded_at=now, cause_id=submission_id, correlation_id=submission_id,
        source=source, source_key=f"{run}-{number}", identity=identity_hash(secret, email, phone, submission_id),
        origin=Origin(source=source, origin_type=origin_type, channel=channel, campaign=f"campaign-{number % 7}"),
        contact=Contact(
            email=email, email_raw=email, phone=phone, phone_raw=phone, full_name=f"{given} {family}",
            given_name=given, family_name=family, company=rng.choice((None, "Example Ltd", "Muestra SL")),
            country=country, city="Springfield", language="es" if country in ("ES", "MX") else "en"),
        email_quality="ok", phone_quality="ok" if phone else "missing", product=rng.choice(PRODUCTS),
        message="I would like to know the price", budget=rng.choice((None, 500.0, 5000.0, 20000.0)),
        urgency=rng.choice((None, "now", "this_month")), body_hash=sha256(body.encode()).hexdigest(), raw=body,
    )  # fmt: skip


def message(event: LeadReceived) -> Message:
    """The record of a submission, as intake writes it."""
    headers = codec.write(event.correlation_id, "lead.received", "caudal/intake")
    value = event.model_dump_json(exclude_none=True).encode()
    return Message(LEADS_RECEIVED.name, event.identity.encode(), value, headers)


def messages(count: int, secret: str, run: str, seed: int = 1) -> Iterator[Message]:
    """Records of `count` submissions of different people."""
    rng = random.Random(seed)  # noqa: S311 - invented people, not secrets
    return (message(submission(rng, n, secret, run)) for n in range(count))
