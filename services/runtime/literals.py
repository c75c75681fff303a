"""How lists go to PostgreSQL: as one text literal an array, which costs a tenth of an expression with every element.

psycopg2 by itself writes `ARRAY['a','b', ...]`: 0.75 µs an element here, and as many constants to parse there.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import ISQLQuote, QuotedString, connection, register_adapter

_BETWEEN, _NULL = "\x1e", "\x15"


def adapt_lists() -> None:
    """Make psycopg2 write Python lists as text literals; the SQL must say their type, as in `%(ids)s::uuid[]`."""
    register_adapter(list, _ArrayLiteral)


def array(items: Iterable[object | None]) -> str:
    """Array of these values in text form; None is NULL. PostgreSQL holds no NUL character: U+FFFD stands for it."""
    return _literal(items).replace("\x00", "\ufffd")


def composite(values: Iterable[object] | None) -> str | None:
    """One composite value, or None for no value. The values may not be None."""
    return None if values is None else "(" + ",".join([f'"{_escaped(str(value))}"' for value in values]) + ")"


def documents(texts: Iterable[str | None]) -> str:
    """JSON texts as one text, for `string_to_array(%(x)s, E'\\x1e', E'\\x15')`: JSON holds no such characters raw.

    Quotes need no escaping so, neither here nor there: a document of 1.5 kB costs half.
    """
    return _BETWEEN.join([_NULL if text is None else text for text in texts])


class _ArrayLiteral:
    """psycopg2's adapter protocol: quotes a list for the session it is sent on. A NUL character is a ValueError."""

    def __init__(self, items: list[object]) -> None:
        self._quoted = QuotedString(_literal(items))

    def __conform__(self, protocol: object) -> _ArrayLiteral | None:
        return self if protocol is ISQLQuote else None

    def prepare(self, session: connection) -> None:
        self._quoted.prepare(session)

    def getquoted(self) -> bytes:
        return self._quoted.getquoted()


def _literal(items: Iterable[object | None]) -> str:
    values = [None if item is None else item if type(item) is str else _text(item) for item in items]
    if not values:
        return "{}"
    if None in values:
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in values]) + "}"
    plain = '","'.join(values)  # type: ignore[arg-type]  # no None among them
    if "\\" in plain or plain.count('"') > 2 * (len(values) - 1):
        return '{"' + '","'.join([_escaped(str(value)) for value in values]) + '"}'
    return f'{{"{plain}"}}'


def _text(value: object) -> str:
    return "\\x" + bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
