"""From a submission, whatever its shape, to `lead.received` and the consents that came with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from schemas.events.event import derived_id
from schemas.events.leads import Contact, LeadReceived, Origin
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, fold_email, identity_hash
from schemas.topics import CONSENTS_RECEIVED, LEADS_RECEIVED
from services.intake import normalise
from services.intake.arrival import Accepted, Arrival, Fault, Refused, arrival_id, body_hash, own_key, refused
from services.intake.fields import CLICK_IDS, Sorted, only, sort_fields
from services.intake.sources.source import Source
from services.intake.values import amount, is_scalar, moment, text, truth
from services.runtime.verdict import Outgoing

_SHAPES = {"consents": "a list of objects"}
_PHONE_CHANNELS = frozenset({"phone", "sms", "whatsapp", "fax"})
_CONTACT = tuple(Contact.model_fields.keys() - {"email", "email_raw", "phone", "phone_raw", "full_name"})
_ORIGIN = tuple(Origin.model_fields.keys() - {"source", "origin_type", "click_id"})


def read_lead(arrival: Arrival) -> Accepted | Refused:
    """The submission as `lead.received`, and a `consent.given` for each consent; or what is wrong with it."""
    found = sort_fields(arrival.content, arrival.source.fields)
    found.answers.pop(arrival.source.redirect_field or "", None)  # for the browser, not about the person
    if arrival.source.allowed:
        found = only(found, arrival.source.allowed)
    faults = _faults(found, arrival.source.required)
    if faults:
        return Refused(faults)
    if not found.values and not found.answers:
        return refused("", "empty", "the submission holds no field; send at least one, such as email or phone")
    lead_id = arrival_id(arrival, "submission")
    lead = _lead(arrival, lead_id, found)
    value = lead.model_dump_json(exclude_none=True)
    event = Outgoing(LEADS_RECEIVED, "lead.received", lead.identity, lead_id, 0, value, lead)
    return Accepted(lead_id, (event, *_consent_events(arrival, lead)) if lead.consents else (event,))


def _lead(arrival: Arrival, lead_id: str, found: Sorted) -> LeadReceived:
    source, values, answers = arrival.source, found.values, found.answers
    region = normalise.region_of(values.get("country"), source.region)
    email, email_quality = normalise.email(values.get("email"))
    phone, phone_quality = normalise.phone(values.get("phone"), region)
    budget = amount(values.get("budget"))
    if budget is None and "budget" in values:
        answers["budget"] = values["budget"]
    data = {
        "occurred_at": moment(values.get("occurred_at"), arrival.received_at),
        "recorded_at": arrival.recorded_at,
        "cause_id": lead_id,
        "correlation_id": lead_id,
        "source": source.name,
        "source_key": own_key(arrival),
        "identity": identity_hash(arrival.secret, fold_email(email) if email else None, phone, lead_id),
        "origin": _origin(source, values),
        "contact": _contact(values, email, phone),
        "email_quality": email_quality,
        "phone_quality": phone_quality,
        "cost": None if source.cost is None else float(source.cost),
        "currency": None if source.cost is None else source.currency,
        "product": values.get("product") or source.product,
        "message": values.get("message"),
        "budget": budget,
        "urgency": values.get("urgency"),
        "answers": answers,
        "consents": _consents(source, found),
        "is_test": truth(values.get("is_test")) or _marked_as_test(arrival),
        "body_hash": body_hash(arrival),
        "raw": arrival.raw,
    }
    return LeadReceived.model_validate(data)


def _contact(values: dict[str, str], email: str | None, phone: str | None) -> dict[str, str | None]:
    """Contact data; the form as sent is kept beside the normalised one only where the two differ."""
    contact: dict[str, str | None] = {name: values[name] for name in _CONTACT if name in values}
    name = values.get("name")
    if name and "family_name" in values and "given_name" not in values:
        contact["given_name"], name = name, None  # `nombre` beside `apellidos` is the given name
    contact["full_name"] = (
        name or " ".join(filter(None, (contact.get("given_name"), contact.get("family_name")))) or None
    )
    for kind, normalised in (("email", email), ("phone", phone)):
        contact[kind] = normalised
        if values.get(kind) != normalised:
            contact[f"{kind}_raw"] = values.get(kind)
    return contact


def _origin(source: Source, values: dict[str, str]) -> dict[str, str | None]:
    """Where it came from; name and origin type are the source's alone, whatever the body says."""
    origin: dict[str, str | None] = {"channel": source.channel, "campaign": source.campaign}
    origin |= {name: values[name] for name in _ORIGIN if name in values}
    click_id = next((f"{name}:{values[name]}" for name in CLICK_IDS if name in values), None)
    return origin | {"source": source.name, "origin_type": source.origin_type, "click_id": click_id}


def _faults(found: Sorted, required: tuple[str, ...]) -> tuple[Fault, ...]:
    wrong = [
        Fault(name, "wrong_type", f"{name} must be {_SHAPES.get(name, 'one text or number')}") for name in found.wrong
    ]
    missing = [
        Fault(choice.partition("|")[0], "required", f"{choice.replace('|', ' or ')} is required by this source")
        for choice in required
        if not any(name in found.values for name in choice.split("|"))
    ]
    return (*wrong, *missing)


def _marked_as_test(arrival: Arrival) -> bool:
    field = arrival.source.test_field
    return field is not None and is_scalar(arrival.content.get(field)) and truth(arrival.content.get(field))


def _consents(source: Source, found: Sorted) -> list[dict[str, Any]]:
    words = found.values.get("consent_text") or source.consent_text
    consents = [{"granted": truth(found.values["consent"]), "text": words}] if "consent" in found.values else []
    for item in found.consents:
        flat = {name: text(value, 2000) for name, value in item.items() if is_scalar(value)}
        consents.append({
            "channel": (flat.get("channel") or "email")[:40],
            "purpose": (flat.get("purpose") or "marketing")[:40],
            "granted": truth(flat.get("granted", "true")),
            "text": flat.get("text") or words,
        })  # fmt: skip
    return consents


def _consent_events(arrival: Arrival, lead: LeadReceived) -> Iterator[Outgoing]:
    """A consent not given is no withdrawal: only those granted become events."""
    for n, consent in enumerate(lead.consents):
        kind: Literal["phone", "email"] = "phone" if consent.channel in _PHONE_CHANNELS else "email"
        address = lead.contact.phone if kind == "phone" else lead.contact.email
        if consent.granted and address:
            given = ConsentReceived(
                occurred_at=lead.occurred_at, recorded_at=lead.recorded_at, cause_id=lead.cause_id,
                correlation_id=lead.correlation_id, address=address_hash(arrival.secret, kind, address),
                channel=consent.channel, purpose=consent.purpose, source=lead.source, text=consent.text,
                proof=f"submission {lead.cause_id}",
            )  # fmt: skip
            yield Outgoing(
                CONSENTS_RECEIVED, "consent.given", given.address, derived_id(lead.cause_id, "consent.given", n), 0,
                given.model_dump_json(exclude_none=True), given)  # fmt: skip
