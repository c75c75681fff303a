"""From a notice that names a lead by its id only to `lead.notified`; hydrate reads the lead itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas.events.event import derived_id
from schemas.events.leads import LeadNotified
from schemas.topics import LEADS_NOTIFIED
from services.intake.arrival import Accepted, Arrival, Refused, refused
from services.intake.values import is_scalar, moment, text
from services.runtime.verdict import Outgoing

ACTIONS = ("created", "deleted")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.~(),=+-]{0,199}")  # becomes part of a record's key and of a URL's path
_OURS = ("notice_id", "action")
_MOST_DETAILS, _LONGEST_DETAIL = 50, 500


def submission_id(source: str, notice_id: str) -> str:
    """Id of the submission that this lead becomes, whoever tells of it: a notice, a backfill."""
    return derived_id(f"{source}|{notice_id}", "submission")


def read_notice(arrival: Arrival) -> Accepted | Refused:
    """A lead's id at its source: {notice_id, action, ...}. The rest are details; `occurred_at` says when it was so."""
    given = arrival.content.get("notice_id")
    notice_id = text(given, 201) if isinstance(given, str | int) and not isinstance(given, bool) else None
    if not notice_id or not _ID.fullmatch(notice_id):
        return refused("notice_id", "wrong_value", "notice_id must be the lead's id at the source, 1 to 200 characters")
    action = arrival.content.get("action", "created")
    if action not in ACTIONS:
        return refused("action", "unknown_value", f"action must be one of {', '.join(ACTIONS)}")
    source, details = arrival.source.name, _details(arrival.content)
    event_id = derived_id(f"{source}|{notice_id}|{action}", "notice")
    event = LeadNotified(
        occurred_at=moment(details.pop("occurred_at", None), arrival.received_at), recorded_at=arrival.recorded_at,
        cause_id=event_id, correlation_id=submission_id(source, notice_id),
        source=source, notice_id=notice_id, action=action, details=details,
    )  # fmt: skip
    key, value = f"{source}|{notice_id}", event.model_dump_json(exclude_none=True)
    return Accepted(event_id, (Outgoing(LEADS_NOTIFIED, "lead.notified", key, event_id, 0, value, event),))


def _details(content: Mapping[str, Any]) -> dict[str, str]:
    """What the notice said beside id and action, as texts."""
    others = [(name, value) for name, value in content.items() if name not in _OURS and is_scalar(value)]
    texts = ((text(name, 100), text(value, _LONGEST_DETAIL)) for name, value in others[:_MOST_DETAILS])
    return {name: value for name, value in texts if name and value}
