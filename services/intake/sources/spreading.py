"""From one item as its sender nested it to one flat object of fields, before any of them has our name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.intake.parse import Ambiguous, Unparsed, parse_item
from services.intake.sources.paths import at, plain
from services.intake.sources.source import Pairs, Source, Titles
from services.intake.values import text

_MOST_PAIRS = 500
_MOST_LEVELS = 10


def spread(content: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The item with JSON texts opened, names un-nested, objects lifted and pairs spread. Nothing is lost on the way:

    where two fields would have one name, that which stood further out has it, and the other its dotted one.
    """
    found = dict(content)
    for name in source.json_fields:
        _open(found, name)
    if source.underscores:
        _unnest(found, "__")
    for name in source.lift:
        if isinstance(inner := _only(found.get(name)), dict):
            del found[name]
            _join(found, inner, name)
    for pairs in source.pairs:
        _spread(found, pairs, source.fields)
    return found


def _open(found: dict[str, Any], name: str) -> None:
    """Put the object that a text field holds as JSON in place of the text; each list of it by its first value."""
    written = found.get(name)
    opened = parse_item(written.encode()) if isinstance(written, str) else None
    if isinstance(opened, dict) and not isinstance(opened, Unparsed | Ambiguous):
        del found[name]
        _join(found, {inner: _first(value) for inner, value in opened.items()}, name)


def _unnest(found: dict[str, Any], mark: str) -> None:
    """`contact__email` as `contact.email`; a name that something else is in the way of stays."""
    for name in [name for name in found if mark in name]:
        *outer, last = name.split(mark)
        place: Any = found
        for step in outer[:_MOST_LEVELS]:
            place = place.setdefault(step, {}) if isinstance(place, dict) and step else None
        if isinstance(place, dict) and last and last not in place and len(outer) <= _MOST_LEVELS:
            place[last] = found.pop(name)


def _join(found: dict[str, Any], inner: Mapping[str, Any], name: str) -> None:
    for key, value in inner.items():
        if found.setdefault(key, value) != value:
            found[f"{name}.{key}"] = value


def _spread(found: dict[str, Any], pairs: Pairs, fields: Mapping[str, str]) -> None:
    listed = at(found, pairs.list)
    several = list(listed.values()) if isinstance(listed, dict) else listed
    if not isinstance(several, list) or not any(isinstance(one, dict) for one in several):
        return
    questions = _questions(found, pairs.titles)
    found.pop(pairs.list, None)
    for one in several[:_MOST_PAIRS]:
        value = _value(one, pairs)
        names = list(_names(one, pairs, questions, fields))
        if value is not None and names:
            found[next((name for name in names if name not in found), _numbered(names[0], found))] = value


def _names(one: Any, pairs: Pairs, questions: Mapping[str, str], fields: Mapping[str, str]) -> Iterator[str]:
    """What this object's field may be called, best first: as the source's map has it, by its type, its question."""
    known = [name for path in pairs.name if (name := text(at(one, path)))]
    asked = [questions[name] for name in known if name in questions]
    yield from (name for name in (*asked, *known) if name in fields)
    kind = pairs.kinds.get(text(at(one, "type")) or "")
    if kind:
        yield kind
    yield from (*asked, *known)


def _numbered(name: str, found: Mapping[str, Any]) -> str:
    return next(f"{name} {n}" for n in range(2, len(found) + 3) if f"{name} {n}" not in found)


def _questions(found: Mapping[str, Any], titles: Titles | None) -> dict[str, str]:
    """The words of each question by every id that it has."""
    asked = at(found, titles.list) if titles else None
    if titles is None or not isinstance(asked, list):
        return {}
    read = [(text(at(one, titles.title)), one) for one in asked[:_MOST_PAIRS]]
    return {key: title for title, one in read if title for path in titles.by if (key := text(at(one, path)))}


def _value(one: Any, pairs: Pairs) -> Any:
    """The first value that is there; an object that no path reads is taken as it is."""
    kind = str(one.get("type", "")) if isinstance(one, dict) else ""
    whole = None
    for path in pairs.value:
        parts = [at(one, part) for part in path.replace("{type}", kind).split("+")]
        values = [value for part in parts if (value := plain(part)) not in (None, "")]
        if values:
            return values[0] if len(values) == 1 else plain(values)
        whole = next((part for part in parts if isinstance(part, dict) and part), whole)
    return whole


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
