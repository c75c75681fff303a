"""How long a patient service rests after a batch."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.runtime.courtesy import BUSY_BELOW, LONGEST_S, Courtesy, idle_since


@pytest.mark.parametrize(
    ("idle", "worked_s", "rest_s"),
    [
        (100.0, 0.1, 0.0),
        (BUSY_BELOW, 0.1, 0.0),
        (BUSY_BELOW - 0.1, 0.1, pytest.approx(0.5)),
        (0.0, 0.15, pytest.approx(0.75)),
        (0.0, 30.0, LONGEST_S),
    ],
)
def test_it_rests_only_while_the_processors_are_busy_and_never_long(
    idle: float, worked_s: float, rest_s: float
) -> None:
    assert Courtesy(lambda: idle).rest_s(worked_s) == rest_s


def test_the_share_that_was_idle_is_read_from_this_machine() -> None:
    idle_since()
    time.sleep(0.05)
    assert 0.0 <= idle_since() <= 100.0


def test_a_worker_that_has_not_looked_before_does_not_rest() -> None:
    """Nothing is known yet, which psutil tells as no time spent on anything, idling either."""
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(Courtesy().rest_s, 0.1).result() == 0.0
