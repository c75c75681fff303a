"""Rule books from the operator's side: their models, their defaults, their history on the topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel

from schemas import codec
from schemas.events.event import Event
from schemas.events.operations import RulesActivated, RulesPublished
from schemas.topics import RULES_PUBLISHED
from services.cli.keptkeys import with_keys
from services.intake.keys import new_key
from services.intake.rules import SourceRules
from services.intake.sources.source import SourceKey
from services.nurture.rules import NurtureRules
from services.qualify.rules import ScoringRules
from services.router.rules import Routing as RoutingRules
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.rulebook import parse_book
from services.runtime.transport import Message
from services.runtime.verdict import Book

T = TypeVar("T")
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # a topic just created on a busy machine has its leader within seconds
MODELS: dict[str, type[BaseModel]] = {
    "sources": SourceRules,
    "scoring": ScoringRules,
    "routing": RoutingRules,
    "nurture": NurtureRules,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a book's history: published or activated, when, by whom."""

    at: datetime
    book: str
    version: str
    what: str
    author: str
    note: str | None
    body: str | None


def default_body(book: str) -> str:
    """Text of the default book that ships with Caudal."""
    return files("deploy.rules").joinpath(f"{book}.yaml").read_text(encoding="utf-8")


def with_fresh_keys(body: str) -> tuple[str, dict[str, str]]:
    """The sources book with one fresh key for every HTTP source that needs one, and the keys' texts by source."""
    sources = parse_book("sources", body, SourceRules).rules.sources
    closed = [name for name, one in sources.items() if one.kind == "http" and not one.keys and one.signature is None]
    made = {name: new_key() for name in closed}
    due = {name: (SourceKey(prefix=prefix, sha256=digest),) for name, (_, prefix, digest) in made.items()}
    return with_keys(body, due), {name: text for name, (text, _, _) in made.items()}


def publish(servers: str, book: str, body: str, author: str, note: str | None = None) -> str:
    """Publish a text as a version of the book and activate it; its version. Raises `RulesInvalid`."""
    version = parse_book(book, body, MODELS[book]).version
    said: list[tuple[str, Event]] = []
    common = _common()
    said.append(("rules.published", RulesPublished(
        **common, book=book, book_version=version, body=body, author=author, note=note)))  # fmt: skip
    said.append(("rules.activated", RulesActivated(
        **common, book=book, book_version=version, author=author, note=note)))  # fmt: skip
    _write(servers, book, said)
    return version


def activate(servers: str, book: str, version: str, author: str, note: str | None = None) -> None:
    """Point the book at a version published before."""
    event = RulesActivated(**_common(), book=book, book_version=version, author=author, note=note)
    _write(servers, book, [("rules.activated", event)])


def history(servers: str) -> Iterator[Entry]:
    """Everything ever said about rule books, oldest first. Raises `Unavailable` while their topic is not there."""
    reader = Reader(servers, [RULES_PUBLISHED.name])
    try:
        if not reader.ends():  # no partition known: it says nothing about what is on it
            raise Unavailable(f"topic {RULES_PUBLISHED.name} does not exist yet; `caudal up` creates it")
        for record in reader.to_end():
            try:
                data = codec.read(RULES_PUBLISHED, record.key, record.value, record.headers, "").data
            except codec.Unreadable:
                continue  # kept for ever on that topic, and no version of anything
            what = "published" if isinstance(data, RulesPublished) else "activated"
            body = data.body if isinstance(data, RulesPublished) else None
            yield Entry(data.recorded_at, data.book, data.book_version, what, data.author, data.note, body)
    finally:
        reader.close()


def active_versions(entries: Sequence[Entry]) -> dict[str, str]:
    """Active version of each book."""
    return {e.book: e.version for e in entries if e.what == "activated"}


def in_force(entries: Sequence[Entry], book: str) -> Book | None:
    """The version of a book that this history leaves active; None before the first."""
    version = active_versions(entries).get(book)
    body = text_of(entries, book, version) if version else None
    return parse_book(book, body, MODELS[book]) if body else None


def text_of(entries: Sequence[Entry], book: str, version: str) -> str | None:
    """The text of a version; None where it was never published."""
    return next((e.body for e in reversed(entries) if e.body and (e.book, e.version) == (book, version)), None)


def kafka_sources(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Names of the sources of kind `kafka` in the active book: each writes a topic of its own."""
    book = in_force(entries, "sources")
    return tuple(name for name, source in book.rules.sources.items() if source.kind == "kafka") if book else ()


def publish_missing_defaults(servers: str) -> dict[str, str]:
    """Publish the default of every book that has no active version; texts of the API keys made on the way."""
    active = active_versions(patiently(lambda: list(history(servers))))
    keys: dict[str, str] = {}
    for book in MODELS:
        if book not in active:
            body = default_body(book)
            if book == "sources":
                body, keys = with_fresh_keys(body)
            publish(servers, book, body, "caudal up", "default")
    return keys


def _common() -> dict[str, object]:
    now, cause = datetime.now(UTC), str(uuid4())
    return {"occurred_at": now, "recorded_at": now, "cause_id": cause, "correlation_id": cause}


def _write(servers: str, book: str, said: Sequence[tuple[str, Event]]) -> None:
    """Write these once in effect: what a busy broker did not acknowledge is written again under the same ids."""
    messages = [
        Message(RULES_PUBLISHED.name, book.encode(), event.model_dump_json(exclude_none=True).encode(),
                codec.write(str(uuid4()), event_type, "caudal/cli"))
        for event_type, event in said
    ]  # fmt: skip
    producer = patiently(lambda: LogProducer(servers, "caudal-cli"))
    try:
        patiently(lambda: producer.publish(messages, lambda: True))
    finally:
        producer.close()


def patiently(attempt: Callable[[], T], pauses_s: Sequence[float] = PAUSES_S) -> T:
    """What the attempt gives; while Kafka does not answer, once more after each pause. Raises `Unavailable` then."""
    for pause in pauses_s:
        try:
            return attempt()
        except Unavailable:
            time.sleep(pause)
    return attempt()
