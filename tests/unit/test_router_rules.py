from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.router.rules import Routing
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book
from tests.router_leads import BODY, NOW, book, lead

DEFAULT = Path(__file__).parents[2] / "deploy/rules/routing.yaml"


def test_the_default_book_is_valid_and_every_pool_has_somebody_there() -> None:
    rules: Routing = parse_book("routing", DEFAULT.read_text(encoding="utf-8"), Routing).rules
    absent = rules.absent(NOW)
    assert absent == {"elvira"}
    assert all(any(rep.id not in absent for rep in rules.members[pool]) for pool in rules.pools)


def test_durations_are_written_as_people_say_them() -> None:
    times = book().rules.first_response
    assert [times.within(w) for w in ("hot", "warm", "cold", "tepid")] == [
        timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("pools: [north]", "pools: [nroth]", 1, "nroth"),
        ("id: beto", "id: ana", 1, "twice"),
        ("weight: 2", "weight: 0", 7, "greater than or equal to 1"),
        ("postcode", "postkode", 5, "postkode"),
        ("capacity: 1}", "capacity: 1, absences: [{from: 2026-01-01, timezone: Mars}]}", 10, "Europe/Madrid"),
        ("hot: 15m", "hot: soon", 11, "hot"),
    ],
)
def test_a_wrong_book_is_refused_naming_the_line_and_what_is_wrong(old: str, new: str, line: int, says: str) -> None:
    body = BODY.replace(old, new, 1)
    assert body != BODY
    with pytest.raises(RulesInvalid) as error:
        book(body)
    assert says in str(error.value)
    if line > 1:
        assert f":{line}:" in str(error.value)


def test_letters_are_compared_without_regard_to_case() -> None:
    rules = book(BODY.replace("country: [ES], postcode", "product_line: [KITCHENS], postcode")).rules
    assert rules.territories[0].when.tests[0][:2] == ("postcode", ("29", "41"))
    assert rules.territories[0].when.tests[1][1] == (lead().product_line,)
