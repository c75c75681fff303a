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
        self._activated_at: dict[str, int] = {}
        self.next_offset = 0
        self.unkept: list[Record] = []

    def fold(self, record: Record) -> None:
        """Take in one record of a topic that is read from its start."""
        said = self.read(record)
        if isinstance(said, RulesPublished):
            self._texts[said.book, said.book_version] = said.body
        elif said is not None:
            text = self._texts.get((said.book, said.book_version))
            self.activate(said.book, said.book_version, text, record.offset)

    def read(self, record: Record) -> RulesPublished | RulesActivated | None:
        """What the record says, if this service cares for it."""
        self.next_offset = max(self.next_offset, record.offset + 1)
        try:
            envelope = codec.read(RULES_PUBLISHED, record.key, record.value, record.headers, "")
        except codec.Unreadable as fault:
            log.error("rules.unreadable", offset=record.offset, reason=fault.reason)
            return None
        event: RulesPublished | RulesActivated = envelope.data
        return event if event.book in self._models else None

    def activate(self, book: str, version: str, body: str | None, offset: int) -> bool:
        """Put a version in force, unless a later record has spoken or its text is missing or wrong; whether it is."""
        if offset < self._activated_at.get(book, 0):
            return False
        try:
            if body is None:
                raise RulesInvalid(f"{book}: version {version} was activated but never published")
            self.active[book] = parse_book(book, body, self._models[book])
            self._activated_at[book] = offset
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
        for book, body, offset in select(cursor, SQL["rulebook_load"]):
            if book in models:
                books.activate(book, "as kept", body, offset)
    books.next_offset = position[0][0] if position else 0
    return books


def follow(session: Session, books: Books, reader: BookReader, timeout_s: float) -> None:
    """Take in what is new on the topic and keep it, with the offset read."""
    books.unkept += reader.poll(timeout_s)
    if not books.unkept:
        return
    with transaction(session) as cursor:
        for record in books.unkept:
            said = books.read(record)
            if isinstance(said, RulesPublished):
                row = {"book": said.book, "version": said.book_version, "body": said.body}
                cursor.execute(SQL["rulebook_publish"], row)
            elif said is not None:
                _activate(books, cursor, said, record.offset)
        cursor.execute(SQL["rulebook_advance"], {"next_offset": books.next_offset})
    books.unkept.clear()


def _activate(books: Books, cursor: Cursor, said: RulesActivated, offset: int) -> None:
    row = {"book": said.book, "version": said.book_version, "offset": offset}
    kept = select(cursor, SQL["rulebook_body"], row)
    if books.activate(said.book, said.book_version, kept[0][0] if kept else None, offset):
        cursor.execute(SQL["rulebook_activate"], row)


def follow_to_end(session: Session, books: Books, reader: BookReader) -> None:
    """Read on until everything that is on the topic now has been taken in."""
    end = max(reader.ends().values(), default=0)
    while books.next_offset < end:
        follow(session, books, reader, 0.2)
