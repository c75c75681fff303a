"""Whether two versions of a JSON Schema can be read by each other's readers.

The policy is FULL_TRANSITIVE, lenient: every version against every released one, both ways; a new optional property of
an open model is no difference. Only the keywords that our generated schemas use are understood; any other is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
Side = Literal["backward", "forward"]

JSON_TYPES = ("object", "array", "string", "number", "boolean", "null")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description"})
KEYWORDS = ANNOTATIONS | {
    "$ref", "type", "anyOf", "enum", "const", "format", "default",
    "properties", "required", "additionalProperties", "items", *LOWER, *UPPER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One incompatibility. `backward`: a new reader fails on old data. `forward`: an old reader fails on new data."""

    path: str
    kind: str
    breaks: Side
    text: str


@dataclass(frozen=True, slots=True)
class Rooted:
    """A schema with the document in which its references resolve, reduced to one alternative per JSON type."""

    root: Schema
    by_type: Mapping[str, Schema]


def differences(old: Schema, new: Schema) -> list[Difference]:
    """What breaks between two versions of one schema.

    Raises ValueError on a keyword, or a union of two forms of one type, that the checker does not understand.
    Schemas that contain themselves are not supported.
    """
    return list(_compare("$", rooted(old, old), rooted(new, new)))


def upgrade_first(found: Iterable[Difference]) -> str:
    """Which side to deploy first when these differences are accepted."""
    match sorted({difference.breaks for difference in found}):
        case []:
            return "either"
        case ["backward"]:
            return "producers, then wait until the old records are gone"
        case ["forward"]:
            return "consumers"
        case _:
            return "neither: publish a new version on a new topic"


def rooted(root: Schema, schema: Schema | bool) -> Rooted:
    """The schema by JSON type, references and unions resolved; `integer` counts as `number` with that narrower form."""
    if isinstance(schema, bool):
        return Rooted(root, {name: {} for name in JSON_TYPES if schema})
    found: dict[str, Schema] = {}
    for branch in _branches(root, schema):
        named = branch.get("type", JSON_TYPES)
        for name in [named] if isinstance(named, str) else named:
            if found.setdefault("number" if name == "integer" else name, branch) is not branch:
                raise ValueError(f"union of two schemas for type {name!r}: the checker knows one per type")
    return Rooted(root, found)


def _branches(root: Schema, schema: Schema) -> Iterator[Schema]:
    if unknown := schema.keys() - KEYWORDS:
        raise ValueError(f"keywords {sorted(unknown)} are unknown to the compatibility checker: teach it or avoid them")
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        yield from _branches(root, root["$defs"][name])
    elif "anyOf" in schema:
        for branch in schema["anyOf"]:
            yield from _branches(root, branch)
    else:
        yield schema


def _compare(path: str, old: Rooted, new: Rooted) -> Iterator[Difference]:
    for name in JSON_TYPES:
        before, after = old.by_type.get(name), new.by_type.get(name)
        if before is None and after is not None:
            yield Difference(path, "type", "forward", f"{name} is new")
        elif before is not None and after is None:
            yield Difference(path, "type", "backward", f"{name} is no longer taken")
        elif before is not None and after is not None:
            yield from _values(path, before, after)
            yield from STRUCTURES.get(name, _nothing)(path, old.root, before, new.root, after)


def _values(path: str, old: Schema, new: Schema) -> Iterator[Difference]:
    """Constraints on single values: integer or number, enum, format, bounds."""
    whole = old.get("type") == "integer", new.get("type") == "integer"
    if whole[0] != whole[1]:
        yield Difference(path, "type", "backward" if whole[1] else "forward", "number <-> integer")
    yield from _choices(path, _enum(old), _enum(new))
    if old.get("format") != new.get("format"):
        if "format" in new:
            yield Difference(path, "format", "backward", f"now {new['format']}")
        if "format" in old:
            yield Difference(path, "format", "forward", f"was {old['format']}")
    for keywords, tighter in ((LOWER, operator.gt), (UPPER, operator.lt)):
        for keyword in keywords:
            yield from _bound(path, keyword, tighter, old.get(keyword), new.get(keyword))


def _enum(schema: Schema) -> Sequence[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _choices(path: str, old: Sequence[Any] | None, new: Sequence[Any] | None) -> Iterator[Difference]:
    if new is not None and (old is None or any(value not in new for value in old)):
        yield Difference(path, "enum", "backward", f"only {list(new)} now")
    if old is not None and (new is None or any(value not in old for value in new)):
        yield Difference(path, "enum", "forward", f"only {list(old)} before")


def _bound(
    path: str, keyword: str, tighter: Callable[[Any, Any], bool], old: float | None, new: float | None
) -> Iterator[Difference]:
    if new is not None and (old is None or tighter(new, old)):
        yield Difference(path, keyword, "backward", f"{old} -> {new}")
    if old is not None and (new is None or tighter(old, new)):
        yield Difference(path, keyword, "forward", f"{old} -> {new}")


def _nothing(path: str, old_root: Schema, old: Schema, new_root: Schema, new: Schema) -> Iterator[Difference]:
    yield from ()


def _items(path: str, old_root: Schema, old: Schema, new_root: Schema, new: Schema) -> Iterator[Difference]:
    yield from _parts(f"{path}[]", old_root, old.get("items", True), new_root, new.get("items", True))


def _properties(path: str, old_root: Schema, old: Schema, new_root: Schema, new: Schema) -> Iterator[Difference]:
    required, was_required = set(new.get("required", ())), set(old.get("required", ()))
    for name in sorted(required - was_required):
        yield Difference(f"{path}.{name}", "required", "backward", "required now; old data may lack it")
    for name in sorted(was_required - required):
        yield Difference(f"{path}.{name}", "required", "forward", "no longer sure to be there; old readers need it")
    befores, afters = old.get("properties", {}), new.get("properties", {})
    rest, was_rest = new.get("additionalProperties", True), old.get("additionalProperties", True)
    for name in sorted(befores.keys() | afters.keys()):
        added, dropped = name not in befores and was_rest is True, name not in afters and rest is True
        if not added and not dropped:
            before, after = befores.get(name, was_rest), afters.get(name, rest)
            yield from _parts(f"{path}.{name}", old_root, before, new_root, after)
            yield from _default(f"{path}.{name}", before, after)
    yield from _parts(f"{path}.*", old_root, was_rest, new_root, rest)


def _parts(
    path: str, old_root: Schema, old: Schema | bool, new_root: Schema, new: Schema | bool
) -> Iterator[Difference]:
    if old is not True or new is not True:
        yield from _compare(path, rooted(old_root, old), rooted(new_root, new))


def _default(path: str, old: Schema | bool, new: Schema | bool) -> Iterator[Difference]:
    """A changed default gives the same data another meaning on each side."""
    if isinstance(old, bool) or isinstance(new, bool) or "default" not in old or "default" not in new:
        return
    if old["default"] != new["default"]:
        text = f"absent meant {old['default']!r}, now means {new['default']!r}"
        yield Difference(path, "default", "backward", text)
        yield Difference(path, "default", "forward", text)


STRUCTURES: Mapping[str, Callable[[str, Schema, Schema, Schema, Schema], Iterator[Difference]]] = {
    "object": _properties,
    "array": _items,
}
