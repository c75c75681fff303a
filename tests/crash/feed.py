"""What a run offers: submissions of new people, and what the world adds to them.

Of 100 records 4 are resent with the same id, 1 is a known person under another id on another partition, 1 is poison,
and 1 is a consent withdrawn.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from schemas import codec
from schemas.events.event import derived_id
from schemas.events.leads import LeadReceived
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash
from schemas.topics import CONSENTS_RECEIVED
from services.cli.load import message, submission
from services.runtime.transport import Message

Item = tuple[Message, str | None]
"""A record, and the submission that its acknowledgement is for."""


@dataclass
class Feed:
    """What comes next. The same seed, run and first number give the same submissions."""

    secret: str
    run: str
    number: int
    rng: random.Random
    recent: deque[LeadReceived] = field(default_factory=lambda: deque(maxlen=5000))

    def items(self) -> Iterator[Item]:
        """Without end."""
        while True:
            self.number += 1
            luck = self.rng.random()
            if luck < 0.04 and self.recent:
                yield message(self.rng.choice(self.recent)), None
            elif luck < 0.05 and self.recent:
                yield self._noted(self._by_phone_alone(self.rng.choice(self.recent)))
            elif luck < 0.06 and self.recent:
                yield self.rng.choice(POISON)(self)
            elif luck < 0.07 and self.recent:
                yield self._withdrawal(self.rng.choice(self.recent)), None
            else:
                event = submission(self.rng, self.number, self.secret, self.run)
                self.recent.append(event)
                yield self._noted(event)

    def _noted(self, event: LeadReceived) -> Item:
        return message(event), event.correlation_id

    def _by_phone_alone(self, first: LeadReceived) -> LeadReceived:
        """The same person, known by the phone only: another identity hash, so another partition."""
        new_id = derived_id(self.run, "by phone", self.number)
        phone = first.contact.phone
        if phone is None:
            return submission(self.rng, self.number, self.secret, self.run)
        contact = first.contact.model_copy(update={"email": None, "email_raw": None})
        return first.model_copy(update={
            "cause_id": new_id, "correlation_id": new_id, "source_key": new_id, "contact": contact,
            "email_quality": "missing", "identity": address_hash(self.secret, "phone", phone), "body_hash": new_id,
        })  # fmt: skip

    def _withdrawal(self, known: LeadReceived) -> Message:
        now, cause = datetime.now(UTC), derived_id(self.run, "withdrawal", self.number)
        data = ConsentReceived(
            occurred_at=now,
            recorded_at=now,
            cause_id=cause,
            correlation_id=cause,
            address=known.identity,
            source="link",
        )
        headers = codec.write(cause, "consent.withdrawn", "caudal/intake")
        return Message(CONSENTS_RECEIVED.name, known.identity.encode(), data.model_dump_json().encode(), headers)


def _spoilt(**changes: object) -> Callable[[Feed], Item]:
    """A record that is no event, made from a good one under an id of its own."""

    def make(feed: Feed) -> Item:
        good = message(submission(feed.rng, feed.number, feed.secret, feed.run))
        return replace(good, **changes), None  # type: ignore[arg-type]  # each poison names its own fields

    return make


def _nul(feed: Feed) -> Item:
    """An event that PostgreSQL refuses: it is acknowledged, so it must end as a dead letter."""
    event = submission(feed.rng, feed.number, feed.secret, feed.run)
    contact = event.contact.model_copy(update={"given_name": "A\x00na", "full_name": "A\x00na"})
    return message(event.model_copy(update={"contact": contact})), event.correlation_id


def _id_reused(feed: Feed) -> Item:
    """Another body under an id that is taken."""
    first = feed.rng.choice(feed.recent)
    return message(first.model_copy(update={"message": "another body", "body_hash": f"other {feed.number}"})), None


def _huge_key(feed: Feed) -> Item:
    """A key of a megabyte, seldom: two dead letters come of each."""
    key = feed.rng.randbytes(1_000_000) if feed.rng.random() < 0.1 else b"\xff\x00"
    return _spoilt(key=key, value=b"{}")(feed)


POISON = (
    _nul, _id_reused, _huge_key, _spoilt(headers=[]), _spoilt(value=b""), _spoilt(value=b'{"occurred_at": "20'),
    _spoilt(headers=codec.write("unknown-type", "lead.unheard_of", "caudal/intake")),
)  # fmt: skip
