"""Keys of sources over a publication: a text that says nothing of them keeps those in force, an old one all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from services.intake.rules import SourceRules
from services.intake.sources.source import Source, SourceKey
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book

Keys = tuple[SourceKey, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The text to publish, and the sources that keep their keys, have others or their first now, or none any more."""

    body: str
    keeping: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


def keeping_keys(body: str, before: SourceRules) -> Kept:
    """This text with the keys in force of every source that it names without `keys:`. Raises as `with_keys`."""
    rules: SourceRules = parse_book("sources", body, SourceRules).rules
    now, had = _keys(rules), {name: keys for name, keys in _keys(before).items() if keys}
    silent = _silent(body, rules)
    due = {name: keys for name, keys in had.items() if name in silent}
    changed = tuple(name for name, keys in now.items() if keys and keys != had.get(name))
    closed = tuple(name for name in had if name not in due and not now.get(name))
    return Kept(with_keys(body, due), tuple(due), changed, closed)


def going_back(body: str, now: SourceRules) -> Kept:
    """An earlier text with the keys in force now, whatever it says of keys: one taken away since may have leaked.

    A source that has none now, or stands only in that text, is closed. Raises as `with_keys`.
    """
    then: SourceRules = parse_book("sources", body, SourceRules).rules
    keys = _keys(now)
    http = [source for source in then.sources.values() if source.kind == "http"]
    due = {source.name: keys.get(source.name, ()) for source in http if keys.get(source.name, ()) != source.keys}
    keeping, closed = (tuple(name for name in due if bool(due[name]) is has) for has in (True, False))
    return Kept(with_keys(body, due), keeping, (), closed)


def with_keys(body: str, due: Mapping[str, Keys]) -> str:
    """This text with these keys of these sources, put in or in place of others; comments stay.

    Raises `RulesInvalid` where a line cannot be put in: then nothing may be published, for senders would be shut out.
    """
    sources = parse_book("sources", body, SourceRules).rules.sources
    wanted = {name: one.model_copy(update={"keys": due.get(name, one.keys)}) for name, one in sources.items()}
    written = _written(body, due)
    if not _holds(written, wanted):
        raise RulesInvalid(
            f"these sources have other keys in force than in this text: {', '.join(due)}; the keys cannot be put in "
            "for them here: give each its own `keys:` line, or `keys: []` to close it"
        )
    return written


def _keys(rules: SourceRules) -> dict[str, Keys]:
    return {name: source.keys for name, source in rules.sources.items()}


def _silent(body: str, rules: SourceRules) -> set[str]:
    """The sources that could have keys, and say nothing of them: `keys: []` says that there are none."""
    entries = yaml.safe_load(body)["sources"]
    saying = {name for name, entry in entries.items() if "keys" in (entry or {})}
    return {name for name, source in rules.sources.items() if source.kind == "http"} - saying


def _written(body: str, due: Mapping[str, Keys]) -> str:
    """The text with a `keys:` line in each entry, put in from the end so that places stay right."""
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
    for key, value in entry.value:
        if key.value == "keys":
            return f"{body[: key.start_mark.index]}{line}{body[_end(value) :]}"
    mark = entry.value[0][0].start_mark
    between = ", " if entry.flow_style else "\n" + " " * mark.column
    return f"{body[: mark.index]}{line}{between}{body[mark.index :]}"


def _end(node: yaml.Node) -> int:
    """Where a node's text ends; the mark of a list in lines is at whatever comes next, so its last part tells."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line(keys: Keys) -> str:
    return "keys: [" + ", ".join(f'{{prefix: {key.prefix}, sha256: "{key.sha256}"}}' for key in keys) + "]"


def _holds(body: str, wanted: Mapping[str, Source]) -> bool:
    """Whether this text can be used, and says exactly these sources."""
    try:
        return dict(parse_book("sources", body, SourceRules).rules.sources) == wanted
    except RulesInvalid:
        return False
