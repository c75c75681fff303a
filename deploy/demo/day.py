"""The sample day: what all sources send between midnight and midnight, in the formats in which they send it.

The same number gives the same day, byte for byte; another number brings other people.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from deploy.demo.letters import Letter, later, letters, moment, text_of

JSON, FORM, CSV = "application/json", "application/x-www-form-urlencoded", "text/csv"
CLOUDEVENT = "application/cloudevents+json"
PLATFORM = "partner-feed"
"""The source that writes its own Kafka topic; all others post."""
LISTS_AT = (10, 12.5, 17, 19.5)
"""Hours at which somebody uploads the list of a fair."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One body that a source sends, seconds since midnight. `kind` says what it shows; `holds` how many submissions."""

    at: float
    source: str
    content_type: str
    body: bytes
    kind: str
    holds: int = 1


def day(leads: int = 5000, number: int = 1) -> list[Parcel]:
    """Everything that is sent on the day `number`, in order; at least `leads` people become leads."""
    rng = random.Random(f"caudal day {number}")  # noqa: S311 - invented people, not secrets
    written = letters(rng, leads, number)
    posts = [parcel for letter in written if letter.source != "fair" for parcel in _posted(rng, letter)]
    lists = _lists([letter for letter in written if letter.source == "fair"])
    return sorted([*posts, *lists, *_poison(rng, number)], key=lambda parcel: parcel.at)


def _posted(rng: random.Random, letter: Letter) -> Iterator[Parcel]:
    """The letter as its source sends it; six in a hundred of all are sent again, the same bytes a little later."""
    content = letter.filled() | ({"is_test": True} if letter.kind == "test" else {})
    if letter.source == "landing-pages":
        content_type, body = FORM, urlencode(content, doseq=True).encode()
    else:
        content_type = CLOUDEVENT if "specversion" in content else JSON
        body = json.dumps(content, ensure_ascii=False).encode()
    yield Parcel(letter.at, letter.source, content_type, body, letter.kind)
    if rng.random() < 0.075:  # lists are not sent again, so that this makes six of all
        yield Parcel(later(rng, letter.at), letter.source, content_type, body, "resend")


def _lists(written: Sequence[Letter]) -> Iterator[Parcel]:
    """The lists of the fairs, as their organisers save them: semicolons, a byte order mark, CRLF."""
    for n, hour in enumerate(LISTS_AT):
        rows = [letter.filled() | {"Nº": i} for i, letter in enumerate(written[n :: len(LISTS_AT)], start=1)]
        if rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
            yield Parcel(hour * 3600, "fair", CSV, text.getvalue().encode("utf-8-sig"), "list", len(rows))


def _poison(rng: random.Random, number: int) -> Iterator[Parcel]:
    """What no program should send, and some do; with blanks behind it, so that another day's is no repeat."""
    for line in text_of("poison.jsonl").splitlines():
        row = json.loads(line)
        piece, times = row.get("repeat", (row.get("body", ""), 1))
        body = base64.b64decode(row["base64"]) if "base64" in row else (piece * times).encode()
        yield Parcel(moment(rng), row["to"], row.get("type", JSON), body + b" " * (number - 1), "poison")
