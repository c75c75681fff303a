"""Consent: which statement about an address wins, and whether an address may be written to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from schemas.events.people import ConsentChanged
from schemas.topics import PEOPLE_CONSENTS
from services.nurture.world import EMAIL, EVERY_PURPOSE, Cause, Consent, World
from services.runtime.verdict import Outgoing, outgoing

STATES = {"consent.given": "given", "consent.withdrawn": "withdrawn", "suppression.added": "suppressed"}


def wins(current: Consent, state: str, at: datetime) -> bool:
    """Whether a statement replaces what holds: the latest does, at equal times the withdrawal, suppression always.

    Nothing replaces a suppression. The order of arrival makes no difference.
    """
    if current.state == "suppressed":
        return False
    if current.decided_at is None or state == "suppressed":
        return True
    return (at, state == "withdrawn") > (current.decided_at, current.state == "withdrawn")


def settle(
    world: World, key: tuple[str, str, str], state: str, at: datetime, cause: Cause, source: str,
    correlation_id: str, reason: str | None = None, proof: str | None = None,
) -> list[Outgoing]:  # fmt: skip
    """Fold one statement into its row; `consent.changed` follows when the state is another one now."""
    current = world.consents.rows[key]
    if not wins(current, state, at):
        return []
    data = ConsentChanged(
        **cause.fields(),
        correlation_id=correlation_id,
        version=current.version + 1,
        address=key[0],
        channel=key[1],
        purpose=key[2],
        state=state,
        decided_at=at,
        source=source,
        reason=reason,
        proof=proof,
    )
    event = outgoing(PEOPLE_CONSENTS, "consent.changed", ":".join(key), data)
    world.consents.put(key, Consent(*key, data.version, state, at, event.id, event.value))
    return [event]


def refusal(consents: Sequence[Consent], purpose: str, needs_consent: bool) -> str | None:
    """Why an address must not get mail of this purpose, or None.

    `consents` is all that is known about the address. Any suppression of e-mail counts, whatever its purpose; of
    consents and withdrawals the latest that speaks about this purpose or about all.
    """
    mail = [c for c in consents if c.channel == EMAIL and c.decided_at is not None]
    if any(c.state == "suppressed" for c in mail):
        return "suppressed"
    spoken = [c for c in mail if c.purpose in (purpose, EVERY_PURPOSE)]
    if not spoken:
        return "no_consent" if needs_consent else None
    last = max(spoken, key=lambda c: (c.decided_at, c.state == "withdrawn"))
    return "consent_withdrawn" if last.state == "withdrawn" else None
