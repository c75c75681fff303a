"""From what else senders report to its events: activities, outcomes, consents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import ValidationError

from schemas.events.activities import ActivityReceived
from schemas.events.event import Event
from schemas.events.operations import CampaignResult
from schemas.events.outcomes import OUTCOMES, OutcomeReport
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, fold_email, identity_hash
from schemas.topics import ACTIVITIES_RECEIVED, CAMPAIGNS_RESULTS, CONSENTS_RECEIVED, OUTCOMES_RECEIVED, Topic
from services.intake import normalise
from services.intake.arrival import Accepted, Arrival, Fault, Refused, arrival_id, refused
from services.intake.fields import canonical
from services.intake.values import amount, is_scalar, moment, text
from services.runtime.verdict import Outgoing

_CONSENTS = {
    "given": "consent.given",
    "withdrawn": "consent.withdrawn",
    "suppressed": "suppression.added",
    **{event_type: event_type for event_type in ConsentReceived.types},
}
_MOST_MONEY = 1e12
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]{1,2})?")
_NO_ADDRESS = refused("email", "required", "email or phone is required and must be a plausible one")
_NOBODY = refused("email", "required", "a plausible email or phone, or else an anonymous_id, is required")


def read_activity(arrival: Arrival) -> Accepted | Refused:
    """Something a person did: {email | phone | anonymous_id, activity, subject, properties, occurred_at}.

    Who is known to the source's `anonymous_id` alone is a stranger: one identity hash a source and id.
    An address that the person had before (`former_email`) is told as its identity hash, the property `former_identity`.
    """
    values = _texts(arrival.content)
    what, email, phone = values.get("activity") or values.get("event"), *_addresses(arrival, values)
    if not what:
        return refused("activity", "required", "activity is required: what the person did, such as page_view or call")
    stranger = values.get("anonymous_id")
    if not email and not phone and not stranger:
        return _NOBODY
    event_id = arrival_id(arrival, "activity")
    folded = fold_email(email) if email else None
    event = ActivityReceived(
        **_common(arrival, values, event_id), source=arrival.source.name, activity=what,
        identity=identity_hash(arrival.secret, folded, phone, f"{arrival.source.name}|{stranger}"),
        subject=values.get("subject"),
        properties=_properties(arrival.content.get("properties")) | _former(arrival, values.get("former_email")),
        retracts=values.get("retracts"),
    )  # fmt: skip
    event_type = "activity.retracted" if event.retracts else "activity.received"
    return _accepted(ACTIVITIES_RECEIVED, event_type, event.identity, event_id, event)


def read_consent(arrival: Arrival) -> Accepted | Refused:
    """A consent given, withdrawn or suppressed: {email | phone, type, channel, purpose, text, reason, occurred_at}."""
    values = _texts(arrival.content)
    event_type = _CONSENTS.get(values.get("type") or values.get("state") or "")
    if event_type is None:
        return refused("type", "unknown_value", "type must be one of given, withdrawn, suppressed")
    email, phone = _addresses(arrival, values)
    channel = values.get("channel") or ("email" if email else "phone")
    kind: Literal["email", "phone"] = "email" if channel == "email" else "phone"
    address = email if kind == "email" else phone
    if not address:
        return _NO_ADDRESS
    event_id = arrival_id(arrival, "consent")
    event = ConsentReceived(
        **_common(arrival, values, event_id), address=address_hash(arrival.secret, kind, address), channel=channel,
        purpose=values.get("purpose") or "marketing", source=arrival.source.name, reason=values.get("reason"),
        text=text(values.get("text"), 2000) or (arrival.source.consent_text if event_type == "consent.given" else None),
        proof=values.get("proof"),
    )  # fmt: skip
    return _accepted(CONSENTS_RECEIVED, event_type, event.address, event_id, event)


def read_outcome(arrival: Arrival) -> Accepted | Refused:
    """What became of a lead: {type, lead_id, ...}. Whose outcome it is, the key's source says, never the body."""
    event_type = arrival.content.get("type")
    if event_type not in OUTCOMES:
        return refused("type", "unknown_value", f"type must be one of {', '.join(OUTCOMES)}")
    try:
        given = {name: _clean(value) for name, value in arrival.content.items()}
        report = OutcomeReport.model_validate({**given, "destination": arrival.source.destination})
    except ValidationError as error:
        return Refused(tuple(Fault(".".join(map(str, e["loc"])), e["type"], e["msg"]) for e in error.errors()))
    if not report.lead_id or len(report.lead_id) > 64:
        return refused("lead_id", "wrong_value", "lead_id must be the id that the lead was delivered with")
    event_id = arrival_id(arrival, "outcome")
    value = report.model_dump_json(exclude_none=True)
    return Accepted(event_id, (Outgoing(OUTCOMES_RECEIVED, event_type, report.lead_id, event_id, 0, value, None),))


def read_result(arrival: Arrival) -> Accepted | Refused:
    """Reach and cost of a campaign on one day: {campaign, channel, day, impressions, clicks, spend, currency}.

    Platforms correct a day's figures later: the same campaign, channel and day sent again with others replaces them.
    """
    values = _texts(arrival.content)
    campaign, day = values.get("campaign") or arrival.source.campaign, values.get("day") or values.get("date")
    if not campaign or not day:
        return refused("day" if campaign else "campaign", "required", "campaign and day (2026-11-23) are required")
    event_id = arrival_id(arrival, "result")
    try:
        event = CampaignResult(
            **_common(arrival, values, event_id), source=arrival.source.name, campaign=campaign,
            day=date.fromisoformat(day).isoformat(),
            channel=values.get("channel") or arrival.source.channel or "unknown",
            currency=values.get("currency") or arrival.source.currency,
            impressions=int(_number(arrival.content, "impressions")), clicks=int(_number(arrival.content, "clicks")),
            spend=round(_number(arrival.content, "spend"), 2),
        )  # fmt: skip
    except ValueError as error:
        return refused("", "wrong_value", f"not a campaign's result: {error}")
    return _accepted(CAMPAIGNS_RESULTS, "campaign.result", event.campaign, event_id, event)


def _accepted(topic: Topic, event_type: str, key: str, event_id: str, event: Event) -> Accepted:
    value = event.model_dump_json(exclude_none=True)
    return Accepted(event_id, (Outgoing(topic, event_type, key, event_id, 0, value, event),))


def _common(arrival: Arrival, values: Mapping[str, str], event_id: str) -> dict[str, Any]:
    occurred_at = moment(values.get("occurred_at"), arrival.received_at)
    return {
        "occurred_at": occurred_at, "recorded_at": arrival.recorded_at,
        "cause_id": event_id, "correlation_id": event_id,
    }  # fmt: skip


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    """Scalar fields as text; e-mail and phone under our names whatever the sender calls them."""
    found: dict[str, str] = {}
    for name, value in content.items():
        ours = canonical(name)
        plain = text(value, 2000) if is_scalar(value) else None
        if plain:
            found.setdefault(ours if ours in ("email", "phone", "country") else name, plain)
    return found


def _addresses(arrival: Arrival, values: Mapping[str, str]) -> tuple[str | None, str | None]:
    region = normalise.region_of(values.get("country"), arrival.source.region)
    return normalise.email(values.get("email"))[0], normalise.phone(values.get("phone"), region)[0]


def _former(arrival: Arrival, written: str | None) -> dict[str, str]:
    email = normalise.email(written)[0]
    return {"former_identity": identity_hash(arrival.secret, fold_email(email), None, "")} if email else {}


def _properties(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    flat = ((text(name, 100), text(value, 500)) for name, value in list(given.items())[:50] if is_scalar(value))
    return {name: value for name, value in flat if name and value}


def _number(content: Mapping[str, Any], name: str) -> float:
    """A number as JSON has it, or a text in European or English notation: `1.234,50`, `1,234.50`, `12.5`."""
    given = content.get(name)
    number = given if isinstance(given, int | float) else _written_number(text(given) or "0", name)
    if not 0 <= number <= _MOST_MONEY:
        raise ValueError(f"{name} must lie between 0 and {_MOST_MONEY:.0f}")
    return number


def _written_number(written: str, name: str) -> float:
    number = float(written) if _DECIMAL.fullmatch(written) else amount(written)
    if number is None or written.startswith("-"):
        raise ValueError(f"{name} must be a number, not below 0")
    return number


def _clean(value: Any) -> Any:
    return text(value, 2000) if isinstance(value, str) else value
