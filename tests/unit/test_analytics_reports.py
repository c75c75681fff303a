import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from services.analytics.contribution import BOUNDS_MS
from services.analytics.reports import render
from services.analytics.reports.money import Money
from services.analytics.reports.question import BadQuestion, question
from services.analytics.reports.speed import percentile
from services.runtime.literals import array, composite

TODAY = date(2026, 3, 10)
HISTOGRAMS = st.dictionaries(st.sampled_from(BOUNDS_MS), st.integers(1, 1000), min_size=1)


@dataclass(frozen=True)
class Row:
    source: str | None
    campaign: str | None
    won: int
    win_rate: float
    p50_ms: float
    revenue: tuple[Money, ...]
    at: datetime


ROW = Row(
    "=cmd|calc", None, 3, 0.125, 42.4, (Money(123_456, "EUR"), Money(-7, "USD")), datetime(2026, 3, 2, tzinfo=UTC)
)


def test_without_days_a_question_is_about_the_last_thirty_including_today() -> None:
    asked = question({}, TODAY)
    assert (asked.since, asked.until, asked.by) == (date(2026, 2, 9), date(2026, 3, 11), ("source",))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"since": "yesterday"}, "2026-03-31"),
        ({"since": "2026-03-10", "until": "2026-03-10"}, "is not before"),
        ({"by": "source,star_sign"}, "owner"),
        ({"sauce": "web"}, "sauce"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_to_write_instead(words: dict[str, str], told: str) -> None:
    with pytest.raises(BadQuestion, match=told):
        question(words, TODAY)


def test_dimensions_that_were_not_asked_for_are_no_columns() -> None:
    assert "campaign" not in render.columns([ROW])
    assert render.columns([]) == ()


def test_all_three_forms_tell_the_same_row() -> None:
    as_json = json.loads(render.as_json([ROW]))[0]
    as_csv = next(csv.DictReader(io.StringIO(render.as_csv([ROW]))))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render.as_table("t", [ROW]))
    assert as_json == {
        "source": "=cmd|calc", "won": 3, "win_rate": 0.125, "p50_ms": 42.4,
        "revenue": ["1234.56 EUR", "-0.07 USD"], "at": "2026-03-02T00:00:00+00:00",
    }  # fmt: skip
    assert (as_csv["won"], as_csv["revenue"], as_csv["win_rate"]) == ("3", "1234.56 EUR; -0.07 USD", "0.125")
    shown = console.export_text()
    assert all(cell in shown for cell in ("=cmd|calc", "12.5 %", "42 ms", "1,234.56 EUR; -0.07 USD"))


def test_no_cell_of_a_spreadsheet_starts_a_formula() -> None:
    assert next(csv.DictReader(io.StringIO(render.as_csv([ROW]))))["source"] == "'=cmd|calc"


def test_markup_in_a_field_stays_text_in_the_terminal() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render.as_table("t", [Row("[red]x[/red]", None, 0, 0.0, 0.0, (), ROW.at)]))
    assert "[red]x[/red]" in console.export_text()


@pytest.mark.parametrize(
    ("ms", "told"),
    [(0, "0 ms"), (999, "999 ms"), (1_300, "1.3 s"), (240_000, "4.0 min"), (9e6, "2.5 h"), (9e7, "1.0 d")],
)
def test_a_duration_is_told_in_the_largest_unit_above_one(ms: float, told: str) -> None:
    assert render.duration(ms) == told


@given(HISTOGRAMS, st.floats(0.01, 1.0))
def test_a_percentile_lies_in_the_bucket_that_holds_its_rank(histogram: dict[int, int], share: float) -> None:
    value = percentile(histogram, share)
    assert value is not None
    at_most = sum(n for upto, n in histogram.items() if upto <= min(b for b in BOUNDS_MS if b >= value))
    assert value == BOUNDS_MS[-2] or at_most >= share * sum(histogram.values()) - 1e-6


@given(HISTOGRAMS)
def test_a_higher_percentile_is_never_smaller(histogram: dict[int, int]) -> None:
    values = [percentile(histogram, share / 10) or 0.0 for share in range(1, 11)]
    assert values == sorted(values)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None


def test_a_literal_keeps_what_would_end_it() -> None:
    assert array(["a", None, 'b"\\']) == '{"a",NULL,"b\\"\\\\"}'
    assert composite((1, "x,)")) == '("1","x,)")'
    assert composite(None) is None
    assert array(["nul\x00"]) == '{"nul\ufffd"}'
