from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.nurture.rules import Cap, QuietHours
from services.nurture.timing import capped_until, quiet_until, wait_after

NIGHT = QuietHours.model_validate(
    {"from": "20:00", "to": "08:00", "default_zone": "Europe/Madrid", "zones": {"US": "America/Los_Angeles"}}
)


def madrid(day: int, hour: int, minute: int = 0, month: int = 1) -> datetime:
    return datetime(2031, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Madrid")).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (madrid(6, 7, 59), madrid(6, 8)), (madrid(6, 8), None), (madrid(6, 19, 59), None),
        (madrid(6, 20), madrid(7, 8)), (madrid(6, 23, 30), madrid(7, 8)), (madrid(7, 0, 5), madrid(7, 8)),
    ],
)  # fmt: skip
def test_a_mail_waits_for_the_morning(now: datetime, until: datetime | None) -> None:
    assert quiet_until(NIGHT, "ES", now) == until


def test_the_night_is_that_of_the_recipients_country() -> None:
    noon_in_madrid = madrid(6, 12)  # 03:00 in Los Angeles
    assert quiet_until(NIGHT, None, noon_in_madrid) is None
    assert quiet_until(NIGHT, "US", noon_in_madrid) == noon_in_madrid + timedelta(hours=5)


def test_equal_times_mean_no_quiet_hours() -> None:
    never = QuietHours.model_validate({"from": "09:00", "to": "09:00", "default_zone": "Europe/Madrid"})
    assert all(quiet_until(never, "ES", madrid(6, hour)) is None for hour in range(24))


def test_hours_within_one_day_are_understood() -> None:
    siesta = QuietHours.model_validate({"from": "14:00", "to": "16:30", "default_zone": "Europe/Madrid"})
    assert quiet_until(siesta, "ES", madrid(6, 15)) == madrid(6, 16, 30)
    assert quiet_until(siesta, "ES", madrid(6, 20)) is None


def test_the_hour_that_comes_twice_has_two_ends() -> None:
    late = QuietHours.model_validate({"from": "22:00", "to": "02:30", "default_zone": "Europe/Madrid"})
    night = datetime(2031, 10, 26, tzinfo=UTC)  # 02:10 in Madrid comes at 00:10 and at 01:10 UTC
    assert quiet_until(late, "ES", night + timedelta(minutes=10)) == night + timedelta(minutes=30)
    assert quiet_until(late, "ES", night + timedelta(minutes=70)) == night + timedelta(minutes=90)


# both nights of a year on which the clocks of Madrid change, and plain ones around them
MOMENTS = st.one_of(
    st.datetimes(datetime(2031, 3, 29), datetime(2031, 4, 1)),
    st.datetimes(datetime(2031, 10, 25), datetime(2031, 10, 28)),
).map(lambda at: at.replace(tzinfo=UTC))
TIMES = st.times().map(lambda t: f"{t.hour:02}:{t.minute:02}")


@given(MOMENTS, TIMES, TIMES)
def test_a_wait_is_never_backwards_and_never_longer_than_a_day(now: datetime, start: str, end: str) -> None:
    quiet = QuietHours.model_validate({"from": start, "to": end, "default_zone": "Europe/Madrid"})
    until = quiet_until(quiet, None, now)
    assert until is None or now < until <= now + timedelta(hours=25)


def test_the_cap_lets_the_next_mail_go_when_the_oldest_that_counts_is_old_enough() -> None:
    now, cap = madrid(20, 12), Cap(touches=2, days=7)
    days_ago = [now - timedelta(days=d) for d in (8, 6, 3)]
    assert capped_until(days_ago[:2], cap, now) is None
    assert capped_until(days_ago, cap, now) == now + timedelta(days=1)


@given(st.lists(st.integers(0, 1000), max_size=12), st.integers(1, 4), st.integers(1, 9))
def test_a_mail_sent_when_the_cap_says_so_keeps_the_cap(ago: list[int], touches: int, days: int) -> None:
    now, cap = madrid(20, 12), Cap(touches=touches, days=days)
    sent = [now - timedelta(hours=h) for h in ago]
    at = capped_until(sent, cap, now) or now
    assert at >= now
    assert sum(t > at - timedelta(days=days) for t in sent) < touches


def test_waits_grow_and_end() -> None:
    ladder = (timedelta(seconds=30), timedelta(minutes=5))
    assert [wait_after(n, ladder) for n in (1, 2, 3)] == [*ladder, None]
