"""Names with brackets: read as PHP would, but that nothing is lost and nothing raises."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.brackets import nested


@pytest.mark.parametrize(
    ("form", "content"),
    [("a=1&b=2", {"a": "1", "b": "2"}), ("data[merges][EMAIL]=a", {"data": {"merges": {"EMAIL": "a"}}}),
     ("fields[n][id]=n&fields[n][value]=Ana&fields[e][value]=b",
      {"fields": {"n": {"id": "n", "value": "Ana"}, "e": {"value": "b"}}}),
     ("q[]=1", {"q": "1"}), ("q[]=1&q[]=2&q[]=3", {"q": ["1", "2", "3"]}), ("q=1&q=2", {"q": ["1", "2"]}),
     ("a[q][]=1&a[q][]=2", {"a": {"q": ["1", "2"]}}), ("q[][n]=1&q[][n]=2", {"q": [{"n": "1"}, {"n": "2"}]}),
     ("q[][n][m]=1", {"q": [{"n": {"m": "1"}}]}), ("q[0]=a&q[1]=b", {"q": {"0": "a", "1": "b"}}),
     ("a[b c]=1", {"a": {"b c": "1"}}), ("your.name=1", {"your.name": "1"}), ("a[]=", {"a": ""})],
)  # fmt: skip
def test_brackets_are_levels(form: str, content: dict[str, Any]) -> None:
    assert nested(parse_qsl(form, keep_blank_values=True)) == content


@pytest.mark.parametrize(
    ("form", "content"),
    [("a=1&a[b]=2", {"a": "1", "a[b]": "2"}), ("a[b]=2&a=1", {"a": {"b": "2", "": "1"}}),
     ("a[b]=2&a=1&a=3", {"a": {"b": "2", "": ["1", "3"]}}), ("a[]=1&a[b]=2", {"a": "1", "a[b]": "2"}),
     ("a[]=1&a[]=2&a[b]=2", {"a": ["1", "2"], "a[b]": "2"}), ("a[b]=1&a[b][c]=2", {"a": {"b": "1"}, "a[b][c]": "2"}),
     ("a[b][c]=1&a[b]=2", {"a": {"b": {"c": "1", "": "2"}}}), ("a=1&a[][b]=2", {"a": "1", "a[][b]": "2"}),
     ("a[b]=1&a[][c]=2", {"a": {"b": "1"}, "a[][c]": "2"}), ("a[][b]=1&a=2", {"a": [{"b": "1"}, "2"]}),
     ("a[b=1&a]=2&[a]=3&a[b]c=4&a[[b]]=5&a[b]=6",
      {"a[b": "1", "a]": "2", "[a]": "3", "a[b]c": "4", "a[[b]]": "5", "a": {"b": "6"}}),
     ("a[][][b]=1&a[][]=2", {"a": [{"b": "1"}, {"": "2"}]})],
)  # fmt: skip
def test_what_finds_its_place_taken_or_is_written_oddly_is_kept(form: str, content: dict[str, Any]) -> None:
    assert nested(parse_qsl(form, keep_blank_values=True)) == content


@pytest.mark.parametrize(("levels", "deep"), [(8, True), (9, False)])
def test_more_than_eight_levels_are_one_name(levels: int, deep: bool) -> None:
    name = "a" + "[b]" * (levels - 1)
    assert (nested([(name, "1")]) == {name: "1"}) is not deep


def test_a_hundred_thousand_brackets_are_one_name() -> None:
    for name in ("a" + "[b]" * 100_000, "a" + "[" * 100_000, "a" + "[]" * 100_000):
        assert nested([(name, "1")]) == {name: "1"}


def test_after_2000_keys_names_stay_as_they_are() -> None:
    content = nested([(f"a{n}[b][c][d]", "1") for n in range(501)])
    assert content["a499"] == {"b": {"c": {"d": "1"}}}
    assert content["a500[b][c][d]"] == "1"


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [leaf for inner in (value.values() if isinstance(value, dict) else value) for leaf in leaves(inner)]


@given(st.lists(st.text("ab[]", max_size=9), max_size=12))
def test_every_value_is_kept_once_whatever_the_names_are(names: list[str]) -> None:
    values = [str(n) for n in range(len(names))]
    assert sorted(leaves(nested(zip(names, values, strict=True)))) == sorted(values)
