"""Who is this? E-mail and phone, normalised by intake, are exact keys of a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.events.event import Reason, derived_id
from schemas.events.leads import LeadReceived
from schemas.identity import address_hash
from services.runtime.verdict import Incoming

BY_EMAIL = Reason(code="known_by_email", text="The e-mail address is known")
BY_PHONE = Reason(code="known_by_phone", text="The phone number is known")
PHONE_OF_ANOTHER = Reason(
    code="phone_of_another_person", text="The phone number belongs to another person; the e-mail address decided"
)
NEW_PERSON = Reason(code="new_person", text="Nobody was known by this e-mail address or phone number")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a submission knows its person by, as address hashes, and the id of the person if nobody is known by them."""

    email: str | None
    phone: str | None
    person_id: str

    @property
    def hashes(self) -> tuple[str, ...]:
        """Those that there are, e-mail first."""
        return tuple(key for key in (self.email, self.phone) if key)


@dataclass(frozen=True, slots=True)
class Recognition:
    """The person, whether it is a new one, and why."""

    person_id: str
    is_new: bool
    reason: Reason
    conflict: Reason | None = None


def claim(submission: LeadReceived, submission_id: str, secret: str) -> Claim:
    """The personal keys of a submission: only addresses that are a person's own (role addresses are the company's).

    The identity hash of a submission with an e-mail address is that address's hash, so it is not computed again.
    """
    contact = submission.contact
    email = submission.identity if contact.email and submission.email_quality == "ok" else None
    usable = contact.phone if submission.phone_quality == "ok" else None
    phone = address_hash(secret, "phone", usable) if usable else None
    return Claim(email, phone, derived_id(submission_id, "person"))


def recognise(claimed: Claim, owner: Callable[[str], str | None]) -> Recognition:
    """The person behind a claim. Where its keys name two, the e-mail's is meant, and the phone stays the other's."""
    by_email = owner(claimed.email) if claimed.email else None
    by_phone = owner(claimed.phone) if claimed.phone else None
    if by_email:
        conflict = PHONE_OF_ANOTHER if by_phone not in (None, by_email) else None
        return Recognition(by_email, False, BY_EMAIL, conflict)
    if by_phone:
        return Recognition(by_phone, False, BY_PHONE)
    return Recognition(claimed.person_id, True, NEW_PERSON)


def makes_known(event: Incoming, *, secret: str) -> tuple[str, ...]:
    """Ids that an event makes known: its key, and of a submission the hashes of its addresses and its lead's id."""
    if event.type != "lead.received":
        return (event.key,)
    hashes = claim(event.data, event.id, secret).hashes
    return tuple(dict.fromkeys((event.key, *hashes, derived_id(event.id, "lead"))))
