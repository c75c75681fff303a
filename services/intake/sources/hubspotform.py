"""Form submissions as HubSpot takes them, for who posted there before: its answers, and the form's id from the path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from starlette.responses import Response

from services.intake.answers import Problem, json_response, refusal
from services.intake.arrival import Accepted, Refused
from services.intake.sources import plain
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import text

_SAID = "Thank you. We have your message."


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """The submission; the path ends with `/<portal>/<form>`, and the form is an answer of its own."""
    unpacked = plain.unpack(delivery, source)
    *_, form = delivery.path.rstrip("/").split("/")
    if isinstance(unpacked, Problem) or not form:
        return unpacked
    return replace(unpacked, items=tuple(_with_form(item, form) for item in unpacked.items))


def answer(_delivery: Delivery, _source: Source, results: Sequence[Accepted | Refused]) -> Response:
    """A text to show; of what was refused, why, in our form and in theirs."""
    wrong = next((result for result in results if isinstance(result, Refused)), None)
    if wrong is not None:
        problem = refusal(wrong)
        theirs = [{"message": fault.message, "errorType": fault.code.upper()} for fault in wrong.faults]
        ours: dict[str, Any] = {"code": problem.code, "message": problem.message}
        return json_response(
            problem.status,
            ours | {"status": "error", "fields": list(map(asdict, wrong.faults)), "errors": theirs},
        )
    return json_response(200, {"inlineMessage": _SAID})


def _with_form(item: Item | Refused, form: str) -> Item | Refused:
    if isinstance(item, Refused) or "formGuid" in item.content:
        return item
    return replace(item, content={**item.content, "formGuid": text(form)})
