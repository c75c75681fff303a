"""From one item as its sender wrote it to flat fields under our names: a source's map, as data.

Order: JSON texts are opened (`json_fields`), lists of pairs are spread (`pairs`), `fields` are looked up by dotted
path, what is left becomes answers under its dotted name, but for what `drop` names; `constants` count over what was
sent, `defaults` only where nothing was. What `fields` does not name is recognised by its usual name later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from services.intake.parse import Ambiguous, Unparsed, parse_item
from services.intake.sources.paths import at
from services.intake.sources.source import Pairs, Source
from services.intake.values import is_scalar, text

_MOST_PAIRS = 500
_MOST_LEVELS = 20


def mapped(content: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The item's fields: ours by our names, all others by their own, dotted."""
    spread = dict(content)
    for path in source.json_fields:
        _open(spread, path)
    for pairs in source.pairs:
        spread |= _spread(at(spread, pairs.list), pairs)
        spread.pop(pairs.list, None)
    paths = {path: ours for path, ours in (*source.fields.items(), (source.test_field, "is_test")) if path}
    found: dict[str, Any] = {}
    for path, ours in paths.items():
        if (value := plain(at(spread, path))) is not None:
            found[path if ours in found else ours] = value
    left_out = {*paths, source.id_field}
    for name, value in _leaves(spread):
        if name not in left_out and name not in found and not any(fnmatchcase(name, one) for one in source.drop):
            found[name] = value
    return source.defaults | found | source.constants


def by_map(content: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """The item's fields by the source's map where it has one, else as they came."""
    has_map = source.fields or source.pairs or source.json_fields or source.constants or source.defaults or source.drop
    return mapped(content, source) if has_map else content


def key_of(content: Mapping[str, Any], source: Source) -> str | None:
    """The sender's own id of the item, a number or a text alike."""
    value = at(content, source.id_field) if source.id_field else None
    return text(value) if is_scalar(value) else None


def _open(content: dict[str, Any], name: str) -> None:
    """Put the object that a text field holds as JSON in place of the text; each list of it by its first value."""
    opened = parse_item(str(content.get(name, "")).encode())
    if isinstance(opened, dict) and not isinstance(opened, Unparsed | Ambiguous):
        content.pop(name)
        content |= {inner: _first(value) for inner, value in opened.items()}


def _spread(listed: Any, pairs: Pairs) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in listed[:_MOST_PAIRS] if isinstance(listed, list) else ():
        name = next((text(at(one, path)) for path in pairs.name if at(one, path) is not None), None)
        value = next((v for path in pairs.value if (v := plain(at(one, _placed(path, one)))) is not None), None)
        if name and value is not None:
            found.setdefault(name, value)
    return found


def _placed(path: str, one: Any) -> str:
    """The path with `{type}` filled in from the object."""
    return path.replace("{type}", str(one.get("type", ""))) if "{type}" in path and isinstance(one, dict) else path


def plain(value: Any) -> Any:
    """A scalar; of a list its only value, or all joined; of anything else nothing."""
    if isinstance(value, list):
        scalars = [one for one in value if is_scalar(one) and one is not None]
        return scalars[0] if len(scalars) == 1 else ", ".join(filter(None, map(text, scalars))) or None
    return value if is_scalar(value) else None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _leaves(content: Mapping[str, Any], before: str = "", levels: int = _MOST_LEVELS) -> Iterator[tuple[str, Any]]:
    """Every scalar or list with its dotted name; what lies too deep is left whole."""
    for name, value in content.items():
        if isinstance(value, dict) and levels:
            yield from _leaves(value, f"{before}{name}.", levels - 1)
        else:
            yield f"{before}{name}", value
