"""What breaks between two versions of a schema, and that the checker's yes can be trusted."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.compatibility import Difference, differences, upgrade_first

TEXT, WHOLE, NUMBER, NOTHING = ({"type": name} for name in ("string", "integer", "number", "null"))


def record(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def either(*branches: Any) -> dict[str, Any]:
    return {"anyOf": list(branches)}


def in_definitions(schema: Any) -> dict[str, Any]:
    return {"$defs": {"Part": schema}} | record(part={"$ref": "#/$defs/Part", "description": "x"})


BOTH = {"backward", "forward"}
CASES = {
    "an optional field more is fine": (record(), record(a=TEXT), set()),
    "an optional field less is fine": (record(a=TEXT), record(), set()),
    "a required field more": (record(a=TEXT), record(("a",), a=TEXT), {"backward"}),
    "a required field less": (record(("a",), a=TEXT), record(a=TEXT), {"forward"}),
    "another type": (record(a=TEXT), record(a=WHOLE), BOTH),
    "a wider number": (WHOLE, NUMBER, {"forward"}),
    "a narrower number": (NUMBER, WHOLE, {"backward"}),
    "null allowed now": (TEXT, either(TEXT, NOTHING), {"forward"}),
    "null allowed no more": (either(TEXT, NOTHING), TEXT, {"backward"}),
    "anything allowed now": (TEXT, {}, {"forward"}),
    "text alone now": (record(a=True), record(a=TEXT), {"backward"}),
    "a further word": (TEXT | {"enum": ["a"]}, TEXT | {"enum": ["a", "b"]}, {"forward"}),
    "a word less": (TEXT | {"enum": ["a", "b"]}, TEXT | {"enum": ["a"]}, {"backward"}),
    "words listed now": (TEXT, TEXT | {"enum": ["a"]}, {"backward"}),
    "one word for another": (TEXT | {"const": "a"}, TEXT | {"const": "b"}, BOTH),
    "a format now": (TEXT, TEXT | {"format": "date-time"}, {"backward"}),
    "another format": (TEXT | {"format": "date"}, TEXT | {"format": "date-time"}, BOTH),
    "longer allowed": (TEXT | {"maxLength": 5}, TEXT | {"maxLength": 9}, {"forward"}),
    "a lower bound now": (WHOLE, WHOLE | {"minimum": 0}, {"backward"}),
    "a higher lower bound": (WHOLE | {"minimum": 0}, WHOLE | {"minimum": 1}, {"backward"}),
    "other items": ({"type": "array", "items": TEXT}, {"type": "array", "items": WHOLE}, BOTH),
    "items unsaid": ({"type": "array", "items": TEXT}, {"type": "array"}, {"forward"}),
    "closed": (record(a=TEXT), record(a=TEXT) | {"additionalProperties": False}, {"backward"}),
    "a field less in a closed model": (
        record(a=TEXT) | {"additionalProperties": False}, record() | {"additionalProperties": False}, {"backward"}),
    "other values in a map": (
        {"type": "object", "additionalProperties": TEXT}, {"type": "object", "additionalProperties": NUMBER}, BOTH),
    "another default": (record(a=TEXT | {"default": "x"}), record(a=TEXT | {"default": "y"}), BOTH),
    "deep in a definition": (in_definitions(record(a=TEXT)), in_definitions(record(("a",), a=TEXT)), {"backward"}),
    "a definition written out": (in_definitions(TEXT), record(part=TEXT), set()),
    "other words about it": (TEXT | {"description": "a"}, TEXT | {"title": "b"}, set()),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "breaks"), CASES.values(), ids=CASES.keys())
def test_what_breaks(old: Any, new: Any, breaks: set[str]) -> None:
    assert {difference.breaks for difference in differences(old, new)} == breaks


def test_a_difference_names_its_place() -> None:
    old, new = (
        record(lead=record(tags={"type": "array", "items": record(required, a=TEXT)})) for required in ((), ("a",))
    )
    assert [(d.path, d.kind) for d in differences(old, new)] == [("$.lead.tags[].a", "required")]


def test_a_field_that_comes_back_as_another_type_is_found_against_the_older_version() -> None:
    first, second, third = record(a=TEXT), record(), record(a=WHOLE)
    assert differences(second, third) == []
    assert {d.breaks for d in differences(first, third)} == BOTH


@pytest.mark.parametrize(
    "schema", [{"type": "string", "pattern": "a+"}, {"not": {}}, either(TEXT, TEXT | {"enum": []})]
)
def test_what_the_checker_does_not_understand_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match="checker"):
        differences(record(a=schema), record(a=TEXT))


def test_the_side_to_deploy_first() -> None:
    def broken(*sides: Any) -> list[Difference]:
        return [Difference("$", "k", side, "t") for side in sides]

    assert upgrade_first([]) == "either"
    assert upgrade_first(broken("forward", "forward")) == "consumers"
    assert upgrade_first(broken("backward")).startswith("producers")
    assert upgrade_first(broken("forward", "backward")).startswith("neither")


NAMES = ("a", "b")
LEAVES = st.sampled_from(
    [TEXT, WHOLE, NUMBER, NOTHING, {"type": "boolean"}, TEXT | {"enum": ["p", "q"]}, TEXT | {"enum": ["p"]},
     WHOLE | {"minimum": 0}, NUMBER | {"maximum": 1}, TEXT | {"minLength": 1}, {}]
)  # fmt: skip


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = inner.map(lambda items: {"type": "array", "items": items})
    models = st.builds(
        lambda properties, required: record(tuple(n for n in NAMES if n in required), **properties),
        st.fixed_dictionaries(dict.fromkeys(NAMES, inner)),
        st.sets(st.sampled_from(NAMES)),
    )
    maps = inner.map(lambda values: {"type": "object", "additionalProperties": values})
    optional = inner.filter(lambda s: s not in (NOTHING, {}) and "anyOf" not in s).map(lambda s: either(s, NOTHING))
    return lists | models | maps | optional


SCHEMAS = st.recursive(LEAVES, nested, max_leaves=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from([-1, 0, 1, 2, 0.5, 1.5, "", "p", "q", "other"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=6,
)


@given(old=SCHEMAS, new=SCHEMAS, data=st.lists(VALUES, min_size=20, max_size=20))
@settings(max_examples=400, deadline=None)
def test_when_nothing_breaks_a_side_it_takes_what_the_other_takes(old: Any, new: Any, data: list[Any]) -> None:
    broken = {difference.breaks for difference in differences(old, new)}
    for value in data:
        by_old, by_new = (Draft202012Validator(schema).is_valid(value) for schema in (old, new))
        if "backward" not in broken:
            assert by_new or not by_old
        if "forward" not in broken:
            assert by_old or not by_new


@given(schema=SCHEMAS)
@settings(max_examples=200, deadline=None)
def test_a_schema_is_compatible_with_itself(schema: Any) -> None:
    assert differences(schema, schema) == []
