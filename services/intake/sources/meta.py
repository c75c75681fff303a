"""Meta Lead Ads (Facebook, Instagram): a handshake with a token, then notices of leads, several in one delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from typing import Any

from starlette.responses import Response

from services.intake.answers import Problem, problem_response
from services.intake.arrival import Refused, refused
from services.intake.parse import item_text
from services.intake.sources.notifications import all_answered, no_object, notifications
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import is_scalar

_WRONG_TOKEN = Problem(403, "wrong_token", "hub.verify_token is not this source's secret `verify`")
_RENAMED = ("leadgen_id", "created_time", "notice_id", "action", "occurred_at")


def handshake(delivery: Delivery, _source: Source, secrets: Callable[[str], Sequence[str]]) -> Response:
    """The challenge, as it came, to whoever knows the source's secret `verify`; a look without any is answered 200."""
    query = delivery.query
    if not query:
        return Response(b"", 200)
    given = query.get("hub.verify_token", "").encode()
    known = [compare_digest(given, secret.encode()) for secret in secrets("verify")]
    if query.get("hub.mode") != "subscribe" or not any(known):
        return problem_response(_WRONG_TOKEN)
    return Response(query.get("hub.challenge", ""), 200, {"x-content-type-options": "nosniff"}, "text/plain")


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """A notice for each change of the field `leadgen`, in every entry; changes of other fields are passed over."""
    read = notifications(delivery.body)
    return read if isinstance(read, Problem) else all_answered((item for one in read for item in _entries(one)), source)


def _entries(content: Any) -> Iterator[Item | Refused]:
    if not isinstance(content, dict):
        yield no_object(content, "")
    elif not isinstance(content.get("entry"), list):
        yield refused("entry", "required", "a notification must hold a list `entry`")
    else:
        for n, entry in enumerate(content["entry"]):
            if not isinstance(entry, dict):
                yield no_object(entry, f"entry.{n}")
            elif isinstance(changes := entry.get("changes"), list):
                for m, change in enumerate(changes):
                    yield from _change(entry, change, f"entry.{n}.changes.{m}")


def _change(entry: dict[str, Any], change: Any, place: str) -> Iterator[Item | Refused]:
    if not isinstance(change, dict):
        yield no_object(change, place)
    elif change.get("field") == "leadgen":
        value = change.get("value")
        if not isinstance(value, dict):
            said = f"{place} has no value; the lead's id is not known"
            yield refused(f"{place}.value", "required", said, item_text(change))
        else:
            yield Item("notice", _notice(entry, value), item_text(change))


def _notice(entry: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    about = {name: one for name, one in value.items() if name not in _RENAMED and is_scalar(one)}
    told_at = value.get("created_time", entry.get("time"))
    own = {"notice_id": value.get("leadgen_id"), "action": "created", "occurred_at": told_at}
    return {"page_id": entry.get("id"), **about, **own}
