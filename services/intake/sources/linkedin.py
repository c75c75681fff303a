"""LinkedIn Lead Sync: a challenge every two hours, then notices of form responses made and deleted."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from starlette.responses import Response

from services.intake.answers import Problem, json_response, problem_response
from services.intake.arrival import Refused, refused
from services.intake.parse import item_text
from services.intake.sources.notifications import all_answered, no_object, notifications, scalars
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import is_scalar

_CODE = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NO_CODE = Problem(400, "bad_challenge", "challengeCode must be a UUID")
_ACTIONS = {"CREATED": "created", "DELETED": "deleted"}
_ABOUT = {"leadGenForm": "form", "leadType": "lead_type", "occurredAt": "occurred_at"}


def handshake(delivery: Delivery, source: Source, secrets: Callable[[str], Sequence[str]]) -> Response:
    """The challenge with its HMAC under the newest secret.

    Only a UUID is signed: the same secret signs deliveries, and whoever could choose the text could forge one.
    """
    code = delivery.query.get("challengeCode")
    if code is None:
        return Response(b"", 200) if not delivery.query else problem_response(_NO_CODE)
    if not _CODE.fullmatch(code):
        return problem_response(_NO_CODE)
    secret = next(iter(secrets("secret")), None)
    if secret is None:
        said = f"source {source.name} has no secret yet: `caudal sources secret {source.name}`"
        return problem_response(Problem(503, "not_configured", said))
    signed = hmac.new(secret.encode(), code.encode(), hashlib.sha256).hexdigest()
    return json_response(200, {"challengeCode": code, "challengeResponse": signed})


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """A notice for each LEAD_ACTION; notifications of other types are passed over."""
    read = notifications(delivery.body)
    return read if isinstance(read, Problem) else all_answered((item for one in read for item in _action(one)), source)


def _action(one: Any) -> Iterator[Item | Refused]:
    if not isinstance(one, dict):
        yield no_object(one, "")
    elif one.get("type") == "LEAD_ACTION":
        action = _ACTIONS.get(str(one.get("leadAction")))
        if action is None:
            said = f"leadAction must be one of {', '.join(_ACTIONS)}"
            yield refused("leadAction", "unknown_value", said, item_text(one))
        else:
            own = {"notice_id": one.get("leadGenFormResponse"), "action": action}
            about = {"owner": _first(one.get("owner")), "associated_entity": _first(one.get("associatedEntity"))}
            yield Item("notice", about | scalars(one, _ABOUT) | own, item_text(one))


def _first(value: Any) -> Any:
    """The URN in `{"sponsoredAccount": "urn:li:..."}`."""
    found = value.values() if isinstance(value, dict) else (value,)
    return next((one for one in found if one is not None and is_scalar(one)), None)
