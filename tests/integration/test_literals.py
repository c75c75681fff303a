"""Whatever stands in a list arrives in PostgreSQL as it was."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.literals import array, composite, documents
from services.runtime.postgres import Session, connect

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@pytest.fixture(scope="module")
def session(postgres: str) -> Iterator[Session]:
    opened = connect(postgres, "public", "test-literals")
    yield opened
    opened.close()


def echoed(session: Session, sql: str, *parameters: object) -> object:
    with session, session.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    assert row
    return row[0]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.none() | TEXTS | st.sampled_from(["NULL", "", '"', "\\", "{}", ",", "'", "a,b", '\\"', "é\n\t"])))
def test_texts_arrive_as_they_are(session: Session, items: list[str | None]) -> None:
    assert echoed(session, "SELECT %s::text[]", items) == items
    assert echoed(session, "SELECT %s::text[]", array(items)) == items


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        ("int", [1, -2, None, 0]),
        ("bigint", [2**62]),
        ("boolean", [True, None, False]),
        ("float8", [1.5, -0.1, 1e300]),
        ("date", [date(2026, 1, 2), None]),
        ("timestamptz", [datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)]),
        ("text", []),
    ],
)
def test_each_kind_arrives_as_it_is(session: Session, kind: str, items: list[object]) -> None:
    assert echoed(session, f"SELECT %s::{kind}[]", items) == items


def test_bytes_arrive_as_they_are(session: Session) -> None:
    found = echoed(session, "SELECT %s::bytea[]", [b"\x00\xff'\\\"", b"", None])
    assert [None if f is None else bytes(f) for f in found] == [b"\x00\xff'\\\"", b"", None]  # type: ignore[attr-defined]


def test_a_nul_character_is_refused_by_name_and_never_sent_on_changed(session: Session) -> None:
    with pytest.raises(ValueError, match="NUL"):
        echoed(session, "SELECT %s::text[]", ["a\x00b"])
    assert echoed(session, "SELECT %s::text[]", array(["a\x00b", None])) == ["a\ufffdb", None]


@settings(deadline=None, max_examples=60)
@given(st.lists(TEXTS.filter(lambda t: t != "" and not {"\x1e", "\x15"} & set(t)) | st.none(), min_size=1))
def test_documents_arrive_as_they_are(session: Session, texts: list[str | None]) -> None:
    sql = "SELECT string_to_array(%s, E'\\x1e', E'\\x15')"
    assert echoed(session, sql, documents(texts)) == texts


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_composite_values_arrive_as_they_are(session: Session, text: str) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("DROP TYPE IF EXISTS pair; CREATE TYPE pair AS (a text, b int)")
        cursor.execute("SELECT (v::pair).a, (v::pair).b FROM unnest(%s::text[]) AS v", (array([composite((text, 7))]),))
        assert cursor.fetchone() == (text, 7)
        session.rollback()


def test_other_sessions_of_this_process_still_compare_with_lists(postgres: str, session: Session) -> None:
    plain = psycopg2.connect(postgres)
    try:
        assert echoed(plain, "SELECT 2 = ANY(%s)", [1, 2]) is True
    finally:
        plain.close()
