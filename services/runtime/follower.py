"""Follows the rule books on their topic and keeps them in the service's own schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog
from pydantic import BaseModel

from schemas import codec
from schemas.events.operations import RulesActivated, RulesPublished
from schemas.topics import RULES_PUBLISHED
from services.runtime.errors import RulesInvalid
from services.runtime.fence import SQL
from services.runtime.postgres import Cursor, Session, select, transaction
from services.runtime.rulebook import parse_book
from services.runtime.transport import Partition, Record
from services.runtime.verdict import Book

log = structlog.get_logger()
Models = Mapping[str, type[BaseModel]]


class BookReader(Protocol):
    """Reads one topic without a group."""

    def poll(self, timeout_s: float, max_records: int = 5000) -> list[Record]:
        """Next records."""

    def ends(self) -> Mapping[Partition, int]:
        """Offset that the next record of each partition will get."""


class Books:
    """The rule books in force, folded from records. An activation of a text that does not parse changes nothing."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._texts: dict[tuple[str, str], str] = {}
        self.active: dict[str, Book] = {}
        self.next_offset = 0
        self.unkept: list[Record] = []

    def fold(self, record: Record) -> RulesPublished | RulesActivated | None:
        """Take in one record; what it said, if this service cares for it."""
        self.next_offset = max(self.next_offset, record.offset + 1)
        try:
            envelope = codec.read(RULES_PUBLISHED, record.key, record.value, record.headers, "")
        except codec.Unreadable as fault:
            log.error("rules.unreadable", offset=record.offset, reason=fault.reason)
            return None
        event: RulesPublished | RulesActivated = envelope.data
        if event.book not in self._models:
            return None
        if isinstance(event, RulesPublished):
            self._texts[event.book, event.book_version] = event.body
        else:
            self.activate(event.book, event.book_version, self._texts.get((event.book, event.book_version)))
        return event

    def activate(self, book: str, version: str, body: str | None) -> bool:
        """Put a version in force, unless its text is missing or wrong; whether it is in force now."""
        try:
            if body is None:
                raise RulesInvalid(f"{book}: version {version} was activated but never published")
            self.active[book] = parse_book(book, body, self._models[book])
            log.info("rules.activated", book=book, version=version)
        except RulesInvalid as error:
            log.error("rules.refused", book=book, version=version, error=str(error))
            return False
        return True

    @property
    def complete(self) -> bool:
        """Whether every book of the service has an active version."""
        return self._models.keys() <= self.active.keys()


def restore(session: Session, models: Models) -> Books:
    """The books as this service's schema last kept them."""
    books = Books(models)
    with transaction(session) as cursor:
        position = select(cursor, SQL["rulebook_position"])
        for book, body in select(cursor, SQL["rulebook_load"]):
            if book in models:
                books.activate(book, "as kept", body)
    books.next_offset = position[0][0] if position else 0
    return books


def follow(session: Session, books: Books, reader: BookReader, timeout_s: float) -> None:
    """Take in what is new on the topic and keep it, with the offset read."""
    books.unkept += reader.poll(timeout_s)
    if not books.unkept:
        return
    with transaction(session) as cursor:
        for record in books.unkept:
            said = books.fold(record)
            if isinstance(said, RulesPublished):
                row = {"book": said.book, "version": said.book_version, "body": said.body}
                cursor.execute(SQL["rulebook_publish"], row)
            elif said is not None:
                _activate(books, cursor, said)
        cursor.execute(SQL["rulebook_advance"], {"next_offset": books.next_offset})
    books.unkept.clear()


def _activate(books: Books, cursor: Cursor, said: RulesActivated) -> None:
    row = {"book": said.book, "version": said.book_version}
    kept = select(cursor, SQL["rulebook_body"], row)
    active = books.active.get(said.book)
    in_force = active is not None and active.version == said.book_version
    if kept and (in_force or books.activate(said.book, said.book_version, kept[0][0])):
        cursor.execute(SQL["rulebook_activate"], row)


def follow_to_end(session: Session, books: Books, reader: BookReader) -> None:
    """Read on until everything that is on the topic now has been taken in."""
    end = max(reader.ends().values(), default=0)
    while books.next_offset < end:
        follow(session, books, reader, 0.2)
