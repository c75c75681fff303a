import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.console import pulse, shapes
from services.analytics.console.live import NOTHING, STAGES, Live
from services.analytics.console.pages import load_pages
from services.analytics.console.pulse import Beat, Pulse
from services.analytics.console.view import shown
from services.analytics.console.words import WORDS, tongue

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
SERIES = st.lists(st.integers(0, 10**6), min_size=2, max_size=80)


def live(waits: Mapping[int, int], n: int = 0) -> Live:
    return Live(AT, {stage: [n] * 60 for stage in STAGES}, waits, NOTHING, (), 0, 0, (), ())


def test_every_word_has_both_languages() -> None:
    assert WORDS["en"].keys() == WORDS["es"].keys()
    assert all(words for table in WORDS.values() for words in table.values())
    blanks = {lang: {k: sorted(re.findall(r"{\w+}", v)) for k, v in table.items()} for lang, table in WORDS.items()}
    assert blanks["en"] == blanks["es"]


def test_each_language_writes_figures_its_own_way() -> None:
    assert (tongue("en").number(1234.5, 1), tongue("es").number(1234.5, 1)) == ("1,234.5", "1.234,5")
    assert (tongue("en").duration(1300), tongue("es").duration(1300)) == ("1.3 s", "1,3 s")
    assert tongue("xx").lang == "en"


@given(SERIES)
def test_a_line_stays_within_its_box(series: list[int]) -> None:
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", shapes.line(series, 100, 40))]
    assert all(0 <= x <= 100 for x in numbers[::2])
    assert all(0 <= y <= 40 for y in numbers[1::2])


@given(SERIES)
def test_there_is_one_bar_for_each_value_above_zero(values: list[int]) -> None:
    assert shapes.bars(values, 560, 64).count("M") == sum(value > 0 for value in values)


def test_the_window_holds_what_was_counted_since_its_first_look() -> None:
    looks = iter([live({50: 10}), live({50: 14, 75: 1}), live({75: 1})])

    async def beats() -> list[Beat]:
        watched = Pulse(lambda: next(looks), dict)
        told = []
        for _ in range(3):
            told.append(await watched.beat())
            watched._read_at = -pulse.EVERY_S
        return told

    first, second, midnight = asyncio.run(beats())
    assert dict(first.waits) == {50: 0}
    assert dict(second.waits) == {50: 4, 75: 1}
    assert dict(midnight.waits) == {75: 1}


def test_many_watchers_cause_one_look() -> None:
    looks = []

    async def watch() -> None:
        watched = Pulse(lambda: looks.append(1) or live({}), dict)  # type: ignore[func-returns-value]
        await asyncio.gather(*(watched.beat() for _ in range(50)))

    asyncio.run(watch())
    assert looks == [1]


def test_a_stage_tells_its_rate_and_how_far_it_is_behind() -> None:
    beat = Beat(live({40: 3}, 7), {"qualify": 0, "router": 1_500, "nurture": 50_000}, {}, 1.0)
    told = shown(beat, tongue("en"), load_pages())
    assert told["text"]["rate-router"] == "7.0"
    assert [told["text"][f"lag-{s}"] for s in STAGES] == [
        "answers at once", "nothing waiting", "1,500 waiting", "50,000 waiting", "lag not known yet",
    ]  # fmt: skip
    assert [told["level"][f"stage-{s}"] for s in STAGES] == ["ok", "ok", "late", "very-late", "unknown"]
    assert told["text"]["speed-note"] == "3 leads since yesterday"


def test_a_lag_that_nobody_has_asked_for_in_a_while_is_not_shown() -> None:
    async def beats() -> list[Mapping[str, int]]:
        watched = Pulse(lambda: live({}), lambda: {"qualify": 5_000})
        told = []
        for _ in range(2):
            told.append((await watched.beat()).lags)
            assert watched._lag_task
            await watched._lag_task
            watched._read_at = -pulse.EVERY_S
        watched._lags_known_at -= pulse.LAG_FRESH_S
        return [*told, (await watched.beat()).lags]

    assert asyncio.run(beats()) == [{}, {"qualify": 5_000}, {}]
