"""`caudal lead` right after `caudal send`: the lead is on its way for a moment."""

from collections.abc import Iterator

from services.cli.leads import soon


def test_a_lead_that_comes_a_moment_later_is_found() -> None:
    looks: Iterator[list[str]] = iter([[], [], ["the lead"], ["never asked again"]])
    assert soon(lambda: next(looks), 60) == ["the lead"]
    assert next(looks) == ["never asked again"]


def test_what_never_comes_is_not_waited_for_longer_than_that() -> None:
    looked: list[int] = []
    assert soon(lambda: looked.append(1) or [], 0) == []  # type: ignore[func-returns-value]
    assert looked == [1]
