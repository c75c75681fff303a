"""Posting to intake, and the ledger: the sender's own log of what was acknowledged."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RETRY_S = (0.2, 0.5, 1.0, 2.0, 4.0)


class Refused(Exception):
    """Intake said no for good: its code to branch on, its sentence to read."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code


@dataclass(slots=True)
class Ledger:
    """One JSON line per acknowledged submission, written after the 200 and before anything else."""

    file: Path

    def note(self, submission_ids: Sequence[str], source: str) -> None:
        """These submissions were acknowledged now."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC).isoformat()
        with self.file.open("a", encoding="utf-8") as lines:
            for submission_id in submission_ids:
                lines.write(json.dumps({"submission_id": submission_id, "source": source, "at": at}) + "\n")


def acknowledged(folder: Path) -> set[str]:
    """Ids of all submissions that the ledgers in a folder hold."""
    found = set()
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            found |= {json.loads(line)["submission_id"] for line in lines if line.endswith("\n")}
    return found


def post(
    url: str,
    body: bytes,
    key: str,
    content_type: str = "application/json",
    idempotency: str = "",
    pause: Callable[[float], object] = time.sleep,
) -> Any:
    """Post to intake, after a pause again while it asks to (503, 429, no answer); its answer.

    Raises `Refused` for any other, and what `pause` raises.
    """
    headers = {"content-type": content_type, "authorization": f"Bearer {key}"}
    if idempotency:
        headers["idempotency-key"] = idempotency
    for wait in (*RETRY_S, None):
        try:
            request = urllib.request.Request(url, body, headers)  # noqa: S310 - intake's own address
            with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or wait is None:
                raise _refused(error.code, error.read()) from None
        except OSError as error:
            if wait is None:
                raise Refused(
                    "no_answer", f"{url} does not answer: {error}; is Caudal up? see `caudal status`"
                ) from None
        pause(wait or 0)
    return None


def _refused(status: int, body: bytes) -> Refused:
    try:
        said = json.loads(body)
        return Refused(said["code"], said["message"])
    except (ValueError, TypeError, KeyError):
        return Refused(f"http_{status}", body.decode(errors="replace")[:500])


def submission_ids(answer: Any) -> list[str]:
    """Ids of the submissions that an answer of intake acknowledges."""
    items: Sequence[Mapping[str, Any]] = answer.get("results", [answer]) if isinstance(answer, dict) else answer
    return [str(item["id"]) for item in items if item.get("id")]
