"""From a submission, whatever its shape, to `lead.received` and the consents that came with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.events.event import derived_id
from schemas.events.leads import ConsentText, Contact, LeadReceived, Origin
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, identity_hash
from schemas.topics import CONSENTS_RECEIVED, LEADS_RECEIVED
from services.intake import normalise
from services.intake.arrival import Accepted, Arrival, Fault, Refused, arrival_id, body_hash, own_key, refused
from services.intake.fields import CLICK_IDS, STRUCTURED, limit_of, sort_fields
from services.intake.rules import Source
from services.intake.values import amount, is_scalar, moment, text, truth
from services.runtime.verdict import Outgoing

_MOST_CONSENTS = 10
_PHONE_CHANNELS = frozenset({"phone", "sms", "whatsapp", "fax"})


def read_lead(arrival: Arrival) -> Accepted | Refused:
    """The submission as `lead.received`, and a `consent.given` for each consent; or what is wrong with it."""
    source = arrival.source
    known, answers = sort_fields(arrival.content, source.fields)
    if not known and not answers:
        return refused("", "empty", "the submission holds no field; send at least one, such as email or phone")
    faults = (*_wrong_types(known), *_missing(known, source.required))
    if faults:
        return Refused(faults)
    lead_id = arrival_id(arrival, "submission")
    values = {name: text(value, limit_of(name)) for name, value in known.items() if name not in STRUCTURED}
    lead = _lead(arrival, lead_id, known, values, answers)
    value = lead.model_dump_json(exclude_none=True)
    event = Outgoing(LEADS_RECEIVED, "lead.received", lead.identity, lead_id, 0, value, lead)
    return Accepted(lead_id, (event, *_consent_events(arrival, lead)) if lead.consents else (event,))


def _lead(
    arrival: Arrival, lead_id: str, known: Mapping[str, Any], values: dict[str, str | None], answers: dict[str, str]
) -> LeadReceived:
    source = arrival.source
    country = values.get("country")
    email, email_quality = normalise.email(values.get("email"))
    phone, phone_quality = normalise.phone(values.get("phone"), normalise.region_of(country, source.region))
    identity_email = normalise.fold_email(email) if email else None
    budget = amount(values.get("budget"))
    if budget is None and values.get("budget"):
        answers["budget"] = values["budget"] or ""
    return LeadReceived(
        occurred_at=moment(known.get("occurred_at"), arrival.received_at),
        recorded_at=arrival.recorded_at,
        cause_id=lead_id,
        correlation_id=lead_id,
        source=source.name,
        source_key=own_key(arrival),
        identity=identity_hash(arrival.secret, identity_email, phone, lead_id),
        origin=_origin(source, values),
        contact=_contact(values, email, phone),
        email_quality=email_quality,
        phone_quality=phone_quality,
        product=values.get("product") or source.product,
        message=values.get("message"),
        budget=budget,
        urgency=values.get("urgency"),
        answers=answers,
        consents=tuple(_consents(source, known, values)),
        is_test=truth(known.get("is_test")) or bool(source.test_field and _ticked(arrival.content, source.test_field)),
        body_hash=body_hash(arrival),
        raw=arrival.raw,
    )


def _contact(values: Mapping[str, str | None], email: str | None, phone: str | None) -> Contact:
    """Contact data; the form as sent is kept beside the normalised one only where the two differ."""
    given, family, name = values.get("given_name"), values.get("family_name"), values.get("name")
    if family and not given:
        given, name = name, None  # `nombre` beside `apellidos` is the given name
    written_email, written_phone = values.get("email"), values.get("phone")
    return Contact(
        email=email,
        email_raw=written_email if written_email != email else None,
        phone=phone,
        phone_raw=written_phone if written_phone != phone else None,
        full_name=name or " ".join(filter(None, (given, family))) or None,
        given_name=given,
        family_name=family,
        company=values.get("company"),
        job_title=values.get("job_title"),
        street=values.get("street"),
        city=values.get("city"),
        region=values.get("region"),
        postcode=values.get("postcode"),
        country=values.get("country"),
        language=values.get("language"),
    )


def _origin(source: Source, values: Mapping[str, str | None]) -> Origin:
    """Where it came from; name and origin type are the source's alone, whatever the body says."""
    return Origin(
        source=source.name,
        origin_type=source.origin_type,
        channel=values.get("channel") or source.channel,
        campaign=values.get("campaign") or source.campaign,
        medium=values.get("medium"),
        content=values.get("content"),
        term=values.get("term"),
        referrer=values.get("referrer"),
        landing_page=values.get("landing_page"),
        list_name=values.get("list_name"),
        referred_by=values.get("referred_by"),
        click_id=next((f"{name}:{values[name]}" for name in CLICK_IDS if values.get(name)), None),
    )


def _wrong_types(known: Mapping[str, Any]) -> Iterator[Fault]:
    for name, value in known.items():
        if name in STRUCTURED:
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                yield Fault(name, "wrong_type", f"{name} must be a list of objects")
        elif not is_scalar(value):
            yield Fault(name, "wrong_type", f"{name} must be a text, a number or true/false, not a list or an object")


def _missing(known: Mapping[str, Any], required: tuple[str, ...]) -> Iterator[Fault]:
    for choice in required:
        names = choice.split("|")
        if not any(text(known.get(name)) for name in names):
            yield Fault(names[0], "required", f"{' or '.join(names)} is required by this source")


def _ticked(content: Mapping[str, Any], field: str) -> bool:
    value = content.get(field)
    return is_scalar(value) and truth(value)


def _consents(source: Source, known: Mapping[str, Any], values: Mapping[str, str | None]) -> Iterator[ConsentText]:
    words = values.get("consent_text") or source.consent_text
    if known.get("consent") is not None:
        yield ConsentText(granted=truth(known["consent"]), text=words)
    for item in known.get("consents", ())[:_MOST_CONSENTS]:
        flat = {name: text(value, 2000) for name, value in item.items() if is_scalar(value)}
        yield ConsentText(
            channel=(flat.get("channel") or "email")[:40],
            purpose=(flat.get("purpose") or "marketing")[:40],
            granted=truth(flat.get("granted", "true")),
            text=flat.get("text") or words,
        )


def _consent_events(arrival: Arrival, lead: LeadReceived) -> Iterator[Outgoing]:
    """A consent not given is no withdrawal: only those granted become events."""
    for n, consent in enumerate(lead.consents):
        kind = "phone" if consent.channel in _PHONE_CHANNELS else "email"
        address = lead.contact.phone if kind == "phone" else lead.contact.email
        if consent.granted and address:
            given = ConsentReceived(
                occurred_at=lead.occurred_at, recorded_at=lead.recorded_at, cause_id=lead.cause_id,
                correlation_id=lead.correlation_id, address=address_hash(arrival.secret, kind, address),  # type: ignore[arg-type]  # kind is one of the two
                channel=consent.channel, purpose=consent.purpose, source=lead.source, text=consent.text,
                proof=f"submission {lead.cause_id}",
            )  # fmt: skip
            yield Outgoing(
                CONSENTS_RECEIVED, "consent.given", given.address, derived_id(lead.cause_id, "consent.given", n), 0,
                given.model_dump_json(exclude_none=True), given)  # fmt: skip
