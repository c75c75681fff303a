"""From bytes to items: JSON and forms, whatever a hostile or careless sender puts there.

What real senders do is read, what could mean two things or cannot be stored as it is is refused or cleaned:

| sent                                      | what becomes of it                                                      |
| ----------------------------------------- | ----------------------------------------------------------------------- |
| JSON as text/plain, as a form, unlabelled | read: `sendBeacon` and many tools label it so                           |
| one BOM at the start                      | passed over: Windows programs write it                                  |
| UTF-16, UTF-32, Latin-1                   | 400 `bad_encoding`: the answer says to send UTF-8                       |
| a number or truth where a text is due     | taken as text: phones come as numbers, from tables as `34600000012.0`   |
| `\\u0000` in a string                     | kept without it: PostgreSQL takes none                                  |
| half a surrogate pair                     | U+FFFD in its place: careless truncation leaves it                      |
| a key twice with one value                | read                                                                    |
| a key twice with two values               | 422 `duplicate_key`, that item only: readers differ on which one counts |
| NaN, Infinity                             | 400 `bad_json`: no JSON; most programs refuse to write it               |
| a number over 4,300 digits                | 400 `bad_json`                                                          |
| a number beyond every double (`1e999`)    | that field is passed over                                               |
| more than 200 levels                      | 400 `bad_json`                                                          |
| more than 200,000 colons in a body        | 400 `too_many_fields`: each key has one, and reading holds all others up |
| more than 2,000 keys in an item           | 422 `too_many_fields`, that item only                                   |

Whatever was cleaned stands as it was sent in `raw`, but for items of a batch, whose text is written anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic_core import from_json, to_json

from services.intake.brackets import nested

_NESTED = (dict, list)  # a union in its place would be built anew at every call
_MOST_FIELDS = 500
_MOST_LEVELS = 200  # as pydantic's parser
_MOST_COLONS = 200_000
MOST_KEYS = 2000
_SEPARATOR = re.compile(rb'"[ \t\r\n]*:')  # after every key; in a string only at its start or an escaped quote
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_UTF8 = "the body is not UTF-8; send UTF-8"


@dataclass(frozen=True, slots=True)
class Unparsed:
    """The bytes are not what they claim to be."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """An item that names a key twice, with different values."""

    key: str


def parse_json(body: bytes, listed: str = "leads") -> Any | Unparsed:
    """The JSON value, or why there is none. An item (of the array, of the list under `listed`) may be `Ambiguous`."""
    return _parse(body, lambda content: _items(content, listed))


def parse_item(body: bytes) -> Any | Unparsed:
    """As `parse_json`, where the value is one item whatever its fields are called."""
    return _parse(body, _item)


def names_once(body: bytes, content: Any) -> bool:
    """Whether no key in this body, read as `content`, is named twice. At worst says no where it is so."""
    keys = _keys(content)
    return body.count(b":") == keys or len(_SEPARATOR.findall(body)) == keys


def too_many_keys(item: Any) -> bool:
    """Whether an item has more keys than a lead can, all levels together."""
    return _keys(item) > MOST_KEYS


def _parse(body: bytes, cleaned: Callable[[Any], Any]) -> Any | Unparsed:
    body = body.removeprefix(_BOM)
    if len(body) > _MOST_COLONS and body.count(b":") > _MOST_COLONS:
        return Unparsed("too_many_fields", f"the body has more than {_MOST_COLONS} fields; send fewer in one batch")
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "hex escape" in str(error) or "surrogate" in str(error):
            return _parse_carefully(body, cleaned)
        if b"\x00" in body[:2] or body[:2] in _BOMS_16 or "unicode code point" in str(error):
            return Unparsed("bad_encoding", _NOT_UTF8)
        return Unparsed("bad_json", f"the body is not valid JSON: {error}")
    return content if names_once(body, content) else _parse_carefully(body, cleaned)


def parse_form(body: bytes) -> dict[str, Any] | Unparsed:
    """The fields of an urlencoded form; brackets are levels, a field sent several times is a list."""
    try:
        pairs = parse_qsl(
            body.removeprefix(_BOM).decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError:
        return Unparsed("bad_encoding", "the form is not UTF-8; send it with accept-charset=utf-8")
    except ValueError:
        return Unparsed("too_many_fields", f"a form has at most {_MOST_FIELDS} fields")
    return nested(pairs)


def form_text(body: bytes) -> str:
    """An urlencoded form as text that any store takes: a NUL byte in its own percent encoding."""
    return body.decode().replace("\x00", "%00")


def pairs_text(pairs: list[tuple[str, str]]) -> str:
    """Name-value pairs as an urlencoded form: how the fields of a multipart form are kept."""
    return urlencode(pairs)


def item_text(item: Any) -> str:
    """One item of a batch as JSON text."""
    return to_json(item).decode()


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_keys(inner) for inner in value.values() if isinstance(inner, _NESTED))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _parse_carefully(body: bytes, cleaned: Callable[[Any], Any]) -> Any | Unparsed:
    """The slow way: sees keys that are named twice, and halves of surrogate pairs."""
    try:
        return cleaned(json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse))
    except UnicodeDecodeError:
        return Unparsed("bad_encoding", _NOT_UTF8)
    except (ValueError, RecursionError) as error:
        return Unparsed("bad_json", f"the body is not valid JSON: {type(error).__name__}")


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Ambiguous:
    content = dict(pairs)
    if len(content) < len(pairs):
        return next((Ambiguous(_clean(name)) for name, value in pairs if value != content[name]), content)
    return content


def _items(content: Any, listed: str) -> Any:
    if isinstance(content, list):
        return [_item(item) for item in content]
    if isinstance(content, dict) and isinstance(content.get(listed), list):
        return {**content, listed: [_item(item) for item in content[listed]]}
    return _item(content)


def _item(item: Any) -> Any:
    """The item with every string cleaned, or what is ambiguous anywhere in it."""
    found: list[Ambiguous] = []
    cleaned = _cleaned(item, found, _MOST_LEVELS)
    return found[0] if found else cleaned


def _cleaned(value: Any, found: list[Ambiguous], levels: int) -> Any:
    if not levels:
        raise ValueError("too deep")
    match value:
        case str():
            return _clean(value)
        case dict():
            return {_clean(name): _cleaned(inner, found, levels - 1) for name, inner in value.items()}
        case list():
            return [_cleaned(inner, found, levels - 1) for inner in value]
        case Ambiguous():
            found.append(value)
    return value


def _clean(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text)
