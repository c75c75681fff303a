"""Keys of sources over a publication: a text that says nothing of a source's keys keeps those in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from services.intake.rules import SourceRules
from services.intake.sources.source import SourceKey
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book

Keys = tuple[SourceKey, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The text to publish, and the sources that keep their keys, have others now, or have none any more."""

    body: str
    keeping: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


def keeping_keys(body: str, before: SourceRules) -> Kept:
    """This text with the keys in force of every source that it names without `keys:`; comments stay.

    Raises `RulesInvalid` where a line cannot be put in: then nothing may be published, for senders would be shut out.
    """
    rules: SourceRules = parse_book("sources", body, SourceRules).rules
    now, had = _keys(rules), {name: keys for name, keys in _keys(before).items() if keys}
    silent = _silent(body, rules)
    due = {name: keys for name, keys in had.items() if name in silent}
    kept = _written(body, due)
    if due and not _holds(kept, {**now, **due}):
        raise RulesInvalid(
            f"these sources have keys in force and none in this text: {', '.join(due)}; the keys cannot be put in for "
            "them here: give each its own `keys:` line, or `keys: []` to close it"
        )
    other = {name for name in had.keys() - due.keys() if now.get(name) != had[name]}
    changed = tuple(name for name in had if name in other and now.get(name))
    return Kept(kept, tuple(due), changed, tuple(name for name in had if name in other and not now.get(name)))


def _keys(rules: SourceRules) -> dict[str, Keys]:
    return {name: source.keys for name, source in rules.sources.items()}


def _silent(body: str, rules: SourceRules) -> set[str]:
    """The sources that could have keys, and say nothing of them: `keys: []` says that there are none."""
    entries = yaml.safe_load(body)["sources"]
    saying = {name for name, entry in entries.items() if "keys" in (entry or {})}
    return {name for name, source in rules.sources.items() if source.kind == "http"} - saying


def _written(body: str, due: Mapping[str, Keys]) -> str:
    """The text with a `keys:` line at the head of each entry, put in from the end so that places stay right."""
    root = yaml.compose(body, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "parsed before"  # noqa: S101  # narrows the type
    sources = next(value for key, value in root.value if key.value == "sources")
    entries = [(key.value, value) for key, value in sources.value if key.value in due]
    for name, entry in sorted(entries, key=lambda one: -one[1].start_mark.index):
        body = _with_line(body, entry, _line(due[name]))
    return body


def _with_line(body: str, entry: yaml.Node, line: str) -> str:
    start, end = entry.start_mark.index, entry.end_mark.index
    if not isinstance(entry, yaml.MappingNode):
        return f"{body[:start]} {{{line}}}{body[end:]}"
    if not entry.value:
        return f"{body[:start]}{{{line}}}{body[end:]}"
    mark = entry.value[0][0].start_mark
    between = ", " if entry.flow_style else "\n" + " " * mark.column
    return f"{body[: mark.index]}{line}{between}{body[mark.index :]}"


def _line(keys: Keys) -> str:
    return "keys: [" + ", ".join(f'{{prefix: {key.prefix}, sha256: "{key.sha256}"}}' for key in keys) + "]"


def _holds(body: str, keys: Mapping[str, Keys]) -> bool:
    """Whether this text can be used, and gives each source these keys."""
    try:
        return _keys(parse_book("sources", body, SourceRules).rules) == dict(keys)
    except RulesInvalid:
        return False
