"""From bytes to items: JSON and forms, whatever a hostile or careless sender puts there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic_core import from_json, to_json

_MOST_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Unparsed:
    """The bytes are not what they claim to be."""

    code: str
    message: str


def parse_json(body: bytes) -> Any | Unparsed:
    """The JSON value, or why there is none. Depth is bounded, NaN refused; of a repeated key the last counts."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "hex escape" in str(error) or "surrogate" in str(error):
            return _without_lone_surrogates(body)
        return Unparsed("bad_json", f"the body is not valid JSON: {error}")


def parse_form(body: bytes) -> dict[str, Any] | Unparsed:
    """The fields of an urlencoded form; a field sent several times becomes a list."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except UnicodeDecodeError:
        return Unparsed("bad_encoding", "the form is not UTF-8; send it with accept-charset=utf-8")
    except ValueError:
        return Unparsed("too_many_fields", f"a form has at most {_MOST_FIELDS} fields")
    return gathered(pairs)


def gathered(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Name-value pairs as one object."""
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name not in content:
            content[name] = value
        elif isinstance(content[name], list):
            content[name].append(value)
        else:
            content[name] = [content[name], value]
    return content


def form_text(body: bytes) -> str:
    """An urlencoded form as text that any store takes: a NUL byte in its own percent encoding."""
    return body.decode().replace("\x00", "%00")


def pairs_text(pairs: list[tuple[str, str]]) -> str:
    """Name-value pairs as an urlencoded form: how the fields of a multipart form are kept."""
    return urlencode(pairs)


def item_text(item: Any) -> str:
    """One item of a batch as JSON text."""
    return to_json(item).decode()


def _without_lone_surrogates(body: bytes) -> Any | Unparsed:
    """Half a surrogate pair, as careless truncation leaves it, stands for no character: `?` in its place."""
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return from_json(text.encode("utf-8", "replace"), allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        return Unparsed("bad_json", f"the body is not valid JSON: {type(error).__name__}")
