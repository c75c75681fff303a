"""The `sources` book for HTTP: read from its topic to the end, then followed in a thread. Nothing is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from services.intake.rules import SourceRules
from services.runtime.errors import Unavailable
from services.runtime.follower import BookReader, Books
from services.runtime.verdict import Book

log = structlog.get_logger()


class SourcesBook:
    """Calling it gives the book in force; it raises `Unavailable` until the topic is read and one is active."""

    def __init__(self, open_reader: Callable[[], BookReader]) -> None:
        self._open_reader = open_reader
        self._books = Books({"sources": SourceRules})
        self._read_to_end = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="sources", daemon=True)

    def __call__(self) -> Book:
        """The book in force."""
        book = self._books.active.get("sources")
        if book is None or not self._read_to_end:
            raise Unavailable("no active rule book `sources`; publish one with the command line")
        return book

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join(timeout=3)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read(self._open_reader())
            except Unavailable as error:
                log.warning("sources.waiting", error=type(error.__cause__ or error).__name__)
                self._stop.wait(0.5)

    def _read(self, reader: BookReader) -> None:
        """Fold every record. A reader opened anew repeats what is known already, which ends at the same book."""
        ends = reader.ends()
        if not ends:
            raise Unavailable("the topic of the rule books does not exist yet")
        while not self._stop.is_set():
            for record in reader.poll(0.2):
                self._books.fold(record)
            self._read_to_end = self._read_to_end or self._books.next_offset >= max(ends.values())
