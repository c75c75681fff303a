"""From a submission, whatever its shape, to `lead.received` and the consents that came with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic_core import to_json

from schemas.events.event import derived_id
from schemas.events.leads import LeadReceived
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, fold_email, identity_hash
from schemas.topics import CONSENTS_RECEIVED, LEADS_RECEIVED
from services.intake import normalise
from services.intake.arrival import Accepted, Arrival, Fault, Refused, arrival_id, body_hash, own_key, refused
from services.intake.fields import CLICK_IDS, Sorted, only, sort_fields
from services.intake.quality import name_quality
from services.intake.required import Reach, missing
from services.intake.sources.source import Source
from services.intake.values import amount, answered, is_scalar, moment, text, truth
from services.runtime.verdict import Outgoing

_SHAPES = {"consents": "a list of objects"}
_PHONE_CHANNELS = frozenset({"phone", "sms", "whatsapp", "fax"})
_CONTACT = ("family_name", "company", "job_title", "street", "city", "region", "postcode", "country",
            "language")  # fmt: skip
_ORIGIN = ("medium", "content", "term", "referrer", "landing_page", "list_name", "referred_by")


def read_lead(arrival: Arrival) -> Accepted | Refused:
    """The submission as `lead.received`, and a `consent.given` for each consent; or what is wrong with it.

    The event is written as JSON at once, without its model: a test holds the two together.
    """
    found = sort_fields(arrival.content, {} if arrival.mapped else arrival.source.fields)
    found.answers.pop(arrival.source.redirect_field or "", None)  # for the browser, not about the person
    if arrival.source.allowed:
        found = only(found, arrival.source.allowed)
    reach = _reach(found.values, arrival.source)
    faults = (*map(_wrong, found.wrong), *missing(found.values, arrival.source.required, reach))
    if faults:
        return Refused(faults)
    if not found.values and not found.answers:
        return refused("", "empty", "the submission holds no field; send at least one, such as email or phone")
    lead_id = arrival_id(arrival, "submission")
    lead = _lead(arrival, lead_id, found, reach)
    event = Outgoing(LEADS_RECEIVED, "lead.received", lead["identity"], lead_id, 0, to_json(lead).decode(), None)
    return Accepted(lead_id, (event, *_consent_events(arrival, lead)) if lead["consents"] else (event,))


def lead_of(event: Outgoing) -> LeadReceived:
    """A `lead.received` as its model."""
    return LeadReceived.model_validate_json(event.value or "")


def _reach(values: Mapping[str, str], source: Source) -> Reach:
    region = normalise.region_of(values.get("country"), source.region)
    return Reach(normalise.email(values.get("email")), normalise.phone(values.get("phone"), region), region)


def _lead(arrival: Arrival, lead_id: str, found: Sorted, reach: Reach) -> dict[str, Any]:
    """The data of `LeadReceived`, its fields in the model's order."""
    source, values, answers = arrival.source, found.values, found.answers
    (email, email_quality), (phone, phone_quality) = reach.email, reach.phone
    budget = amount(values.get("budget"))
    if budget is None and "budget" in values:
        answers["budget"] = values["budget"]
    contact = _contact(values, email, phone)
    data = {
        "occurred_at": moment(values.get("occurred_at"), arrival.received_at),
        "recorded_at": arrival.recorded_at,
        "cause_id": lead_id,
        "correlation_id": lead_id,
        "version": 0,
        "source": source.name,
        "source_key": own_key(arrival),
        "identity": identity_hash(arrival.secret, fold_email(email) if email else None, phone, lead_id),
        "origin": _origin(source, values),
        "contact": contact,
        "email_quality": email_quality,
        "phone_quality": phone_quality,
        "name_quality": name_quality(contact.get("full_name")),
        "cost": None if source.cost is None else float(source.cost),
        "currency": None if source.cost is None else source.currency,
        "product": values.get("product") or source.product,
        "message": values.get("message"),
        "budget": budget,
        "urgency": values.get("urgency"),
        "answers": answers,  # the consents add theirs
        "consents": _consents(source, found),
        "is_test": truth(values.get("is_test")) or _marked_as_test(arrival),
        "body_hash": body_hash(arrival),
        "raw": _raw(arrival, found),
    }
    return _present(data)


def _raw(arrival: Arrival, found: Sorted) -> str:
    """The submission as sent; where a contract says what may be kept, no more of it than that."""
    if not arrival.source.allowed:
        return arrival.raw
    return to_json({**found.values, **({"consents": found.consents} if found.consents else {})}).decode()


def _present(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _contact(values: Mapping[str, str], email: str | None, phone: str | None) -> dict[str, str]:
    """Contact data; the form as sent is kept beside the normalised one only where the two differ."""
    contact: dict[str, str] = {}
    for kind, normalised in (("email", email), ("phone", phone)):
        written = values.get(kind)
        if normalised:
            contact[kind] = normalised
        if written and written != normalised:
            contact[f"{kind}_raw"] = written
    name, given, family = values.get("name"), values.get("given_name"), values.get("family_name")
    if name and family and not given:
        name, given = None, name  # `nombre` beside `apellidos` is the given name
    if full_name := name or " ".join(filter(None, (given, family))):
        contact["full_name"] = full_name
    if given:
        contact["given_name"] = given
    return contact | {part: values[part] for part in _CONTACT if part in values}


def _origin(source: Source, values: Mapping[str, str]) -> dict[str, Any]:
    """Where it came from; name and origin type are the source's alone, whatever the body says."""
    origin: dict[str, str | None] = {
        "source": source.name,
        "origin_type": source.origin_type,
        "channel": values.get("channel") or source.channel,
        "campaign": values.get("campaign") or source.campaign,
    }
    origin |= {name: values[name] for name in _ORIGIN if name in values}
    if not values.keys().isdisjoint(CLICK_IDS):
        origin["click_id"] = next(f"{name}:{values[name]}" for name in CLICK_IDS if name in values)
    return _present(origin)


def _wrong(name: str) -> Fault:
    return Fault(name, "wrong_type", f"{name} must be {_SHAPES.get(name, 'one text or number')}")


def _marked_as_test(arrival: Arrival) -> bool:
    field = arrival.source.test_field
    return field is not None and is_scalar(arrival.content.get(field)) and truth(arrival.content.get(field))


def _consents(source: Source, found: Sorted) -> list[dict[str, Any]]:
    words = found.values.get("consent_text") or source.consent_text
    consents: list[dict[str, Any]] = []
    if "consent" in found.values:
        _add(consents, found, "consent", "email", "marketing", found.values["consent"], words)
    for item in found.consents:
        flat = {name: text(value, 2000) for name, value in item.items() if is_scalar(value)}
        channel, purpose = flat.get("channel") or "email", flat.get("purpose") or "marketing"
        name, said = f"consent {channel} {purpose}"[:100], flat.get("granted", "true")
        _add(consents, found, name, channel, purpose, said, flat.get("text") or words)
    return consents


def _add(
    consents: list[dict[str, Any]], found: Sorted, name: str, channel: str, purpose: str, said: str | None,
    words: str | None,
) -> None:  # fmt: skip
    """A word that is neither yes nor no is no consent and no refusal: it stays as an answer."""
    granted = answered(said)
    if granted is None:
        found.answers.setdefault(name, said or "")  # within a contract too, since it allows the consent
    else:
        consents.append(_consent(channel, purpose, granted, words))


def _consent(channel: str, purpose: str, granted: bool, words: str | None) -> dict[str, Any]:
    return _present({"channel": channel[:40], "purpose": purpose[:40], "granted": granted, "text": words})


def _consent_events(arrival: Arrival, lead: Mapping[str, Any]) -> Iterator[Outgoing]:
    """A consent not given is no withdrawal: only those granted become events."""
    for n, consent in enumerate(lead["consents"]):
        kind: Literal["phone", "email"] = "phone" if consent["channel"] in _PHONE_CHANNELS else "email"
        address = lead["contact"].get(kind)
        if consent["granted"] and address:
            given = ConsentReceived(
                occurred_at=lead["occurred_at"], recorded_at=lead["recorded_at"], cause_id=lead["cause_id"],
                correlation_id=lead["correlation_id"], address=address_hash(arrival.secret, kind, address),
                channel=consent["channel"], purpose=consent["purpose"], source=lead["source"],
                text=consent.get("text"), proof=f"submission {lead['cause_id']}",
            )  # fmt: skip
            event_id = derived_id(given.cause_id, "consent.given", n)
            value = given.model_dump_json(exclude_none=True)
            yield Outgoing(CONSENTS_RECEIVED, "consent.given", given.address, event_id, 0, value, given)
