"""One snapshot of the services' tables, and the temporary tables that it is compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import batched
from types import MappingProxyType

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from schemas import topics as catalogue
from services.cli.books import Entry
from services.cli.verification.log import digest
from services.cli.verification.rows import Rows
from services.router.rules import Routing
from services.runtime.postgres import Cursor, connect, load_queries, select, transaction
from services.runtime.rulebook import parse_book
from services.runtime.service import Service
from services.runtime.transport import Partition

SQL = load_queries("services.cli.verification", "tables.sql")
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
        for (topic, partition), offset in committed[service.name].items():
            rows.add("reader", service.name, topic, partition, offset, topic in service.for_ever, None, offset)
    rows.send()
    for service in services:
        with schema_of(cursor, service.name):
            cursor.execute(SQL["reader_fences"], {"service": service.name})


def note_states(cursor: Cursor, rows: Rows, services: Sequence[Service]) -> None:
    """The state of every key of a compacted topic as its service would write it."""
    for service in services:
        for topic, published in service.published.items():
            keys = [row[0] for row in select(cursor, SQL[KEYS[topic]])]
            with schema_of(cursor, service.name):
                for page in (keys[i : i + PAGE] for i in range(0, len(keys), PAGE)):
                    for state in published(cursor, dict.fromkeys(page, 0)):
                        value = None if state.value is None else state.value.encode()
                        sum64 = digest(state.type, state.key.encode(), value)
                        rows.add("told_state", topic, state.key, state.version, sum64)
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
