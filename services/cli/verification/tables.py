"""One snapshot of the services' tables, and the temporary tables that it is compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TypeVar

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from pydantic import BaseModel

from schemas import topics as catalogue
from services.cli.books import Entry
from services.cli.verification.log import digest
from services.cli.verification.rows import Rows
from services.router.rules import Routing
from services.runtime.errors import RulesInvalid
from services.runtime.postgres import Cursor, connect, load_queries, select, transaction
from services.runtime.rulebook import parse_book
from services.runtime.service import Service
from services.runtime.transport import Partition

SQL = load_queries("services.cli.verification", "tables.sql")
Model = TypeVar("Model", bound=BaseModel)
PAGE = 5000
KEYS = MappingProxyType({
    catalogue.PEOPLE_CHANGED.name: "keys_people",
    catalogue.LEADS_ASSIGNED.name: "keys_assigned",
    catalogue.PEOPLE_CONSENTS.name: "keys_consents",
})  # fmt: skip
"""The query for the keys of each compacted topic, by its name."""


@contextmanager
def snapshot(dsn: str) -> Iterator[tuple[Cursor, int]]:
    """A transaction that sees all tables as they are now, and that moment in milliseconds since 1970 UTC.

    What was appended to the log before that moment was committed before it, because workers publish what they have
    committed. The temporary tables end with the transaction.
    """
    session = connect(dsn, "public", "caudal-verify", limits=False)
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    try:
        with transaction(session) as cursor:
            moment = select(cursor, SQL["prepare"])[0][0]
            cursor.execute(SQL["create"])
            cursor.execute(SQL["parsed"])
            yield cursor, moment
    finally:
        session.close()


@contextmanager
def schema_of(cursor: Cursor, service: str) -> Iterator[None]:
    """Unqualified names mean this service's tables."""
    cursor.execute(f'SET LOCAL search_path TO "{service}"')
    yield
    cursor.execute("SET LOCAL search_path TO public")


def note_readers(
    cursor: Cursor, rows: Rows, services: Sequence[Service], committed: Mapping[str, Mapping[Partition, int]]
) -> None:
    """Where each service stands: by its group's offsets, and by its own fences."""
    for service in services:
        said, fenced = committed[service.name], fences(cursor, service)
        for place in sorted(said.keys() | fenced.keys()):
            offset, next_offset = said.get(place, 0), fenced.get(place)
            for_ever = place[0] in service.for_ever
            rows.add("reader", service.name, *place, offset, next_offset, max(offset, next_offset or 0), for_ever)
    rows.send()


def fences(cursor: Cursor, service: Service) -> dict[Partition, int | None]:
    """Next offset of each partition by the service's own fences; None where it has read nothing yet."""
    with schema_of(cursor, service.name):
        return {(topic, partition): offset for topic, partition, offset in select(cursor, SQL["fences"])}


def note_states(cursor: Cursor, rows: Rows, services: Sequence[Service]) -> None:
    """The state of every key of a compacted topic as its service would write it."""
    for service in services:
        for topic, published in service.published.items():
            keys = [row[0] for row in select(cursor, SQL[KEYS[topic]])]
            with schema_of(cursor, service.name):
                cursor.execute(SQL["by_index"])
                for page in (keys[i : i + PAGE] for i in range(0, len(keys), PAGE)):
                    for state in published(cursor, dict.fromkeys(page, 0)):
                        value = None if state.value is None else state.value.encode()
                        sum64 = digest(state.type, state.key.encode(), value)
                        rows.add("told_state", topic, state.key, state.version, sum64)
                cursor.execute(SQL["by_any_way"])
    rows.send()


def note_ledger(rows: Rows, acknowledged: Collection[str]) -> None:
    """What senders noted as acknowledged."""
    for submission_id in acknowledged:
        rows.add("ledger", submission_id)


def note_capacities(rows: Rows, books: Iterable[Entry]) -> None:
    """The cap of every rep in every version of the routing book."""
    for version, rules in parsed(books, "routing", Routing).items():
        for rep in rules.reps:
            rows.add("book_capacity", version, rep.id, rep.capacity)


def parsed(books: Iterable[Entry], book: str, model: type[Model]) -> dict[str, Model]:
    """The rules of every version of a book ever published; those that today's model cannot read are left out."""
    found: dict[str, Model] = {}
    for entry in books:
        if entry.book == book and entry.body is not None:
            with suppress(RulesInvalid):
                found[entry.version] = parse_book(book, entry.body, model).rules
    return found
