"""The golden record: the best known value of every contact field, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.events.leads import Contact, LeadReceived
from schemas.events.people import Provenance

REST = "*"
"""Key of the provenance that holds for every field without one of its own: most records come from one submission."""

FIRST_STAYS = frozenset({"email", "phone"})
"""Once known, a person's address stays in the record; further ones become further keys."""


def reachable(submission: LeadReceived) -> dict[str, Any]:
    """What a submission says about its person, by field. Only personal addresses stand in `email` and `phone`.

    An address that is a role's, or could not be normalised, is kept as it was sent (`email_raw`, `phone_raw`).
    """
    said = {field: value for field, value in submission.contact.__dict__.items() if value}
    for field, quality in (("email", submission.email_quality), ("phone", submission.phone_quality)):
        said.pop(f"{field}_raw" if quality == "ok" else field, None)
    return said


def merged(
    known: Mapping[str, Any], provenance: Mapping[str, Provenance], said: Mapping[str, Any], given: Provenance
) -> dict[str, Any]:
    """The fields that change: what was empty is filled, otherwise the newest by `occurred_at` wins."""
    return {
        field: value
        for field, value in said.items()
        if value != known.get(field) and (not known.get(field) or _wins(field, provenance, given))
    }


def changed(contact: Contact, fields: Mapping[str, Any]) -> Contact:
    """The contact with these fields."""
    return contact.model_copy(update=dict(fields)) if fields else contact


def _wins(field: str, provenance: Mapping[str, Provenance], given: Provenance) -> bool:
    return field not in FIRST_STAYS and given.at >= (provenance.get(field) or provenance[REST]).at
