"""What intake says back: exactly 200 with an id, or JSON with `code` and `message`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from services.intake.arrival import Accepted, Fault, Refused

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """A request that is refused as a whole. `close` also ends the connection, for a body that we will not read.

    `retry_after_s` is said with 429 and 503.
    """

    status: int
    code: str
    message: str
    faults: tuple[Fault, ...] = ()
    close: bool = False
    retry_after_s: int = RETRY_AFTER_S

    def closing(self, close: bool) -> Problem:
        """The same, ending the connection or not."""
        return replace(self, close=close)


UNAUTHORIZED = Problem(401, "unauthorized", "no valid API key; send it as Authorization: Bearer or X-API-Key")
UNAVAILABLE = Problem(503, "unavailable", "cannot be stored at the moment; send the same again later")
FAILED = Problem(500, "failed", "the request failed on our side; send the same again later")


def json_response(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(to_json(content), status, headers, "application/json")


def problem_response(problem: Problem) -> Response:
    """A refusal as JSON, with the headers that its status asks for."""
    content: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.faults:
        content["fields"] = list(map(asdict, problem.faults))
    headers = {}
    if problem.status in (429, 503):
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.close:
        headers["connection"] = "close"
    return json_response(problem.status, content, headers)


def single_response(result: Accepted) -> Response:
    """One item was taken."""
    return Response(f'{{"id":"{result.id}","status":"accepted"}}', 200, None, "application/json")


def refusal(result: Refused) -> Problem:
    """One item was not taken, with everything that is wrong with it."""
    first = result.faults[0]
    return Problem(422, first.code, "; ".join(fault.message for fault in result.faults), result.faults)


def batch_response(results: Sequence[Accepted | Refused]) -> Response:
    """What became of each item of a batch; the batch itself is a success."""
    return json_response(200, batch_content(results))


def batch_content(results: Sequence[Accepted | Refused]) -> dict[str, Any]:
    """How many items were taken, how many not, and what became of each."""
    lines = [_line(index, result) for index, result in enumerate(results)]
    accepted = sum(isinstance(result, Accepted) for result in results)
    return {"accepted": accepted, "rejected": len(results) - accepted, "results": lines}


def _line(index: int, result: Accepted | Refused) -> dict[str, Any]:
    if isinstance(result, Accepted):
        return {"index": index, "id": result.id}
    first = result.faults[0]
    return {"index": index, "error": {"code": first.code, "message": first.message, "field": first.field}}
