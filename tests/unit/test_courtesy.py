"""How long a patient service rests after a batch."""

import time
from types import SimpleNamespace

import pytest

from services.runtime.courtesy import BUSY_BELOW, LONGEST_S, Courtesy, spent_since


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
    assert Courtesy(lambda: SimpleNamespace(idle=idle)).rest_s(worked_s) == rest_s


def test_the_share_that_was_idle_is_read_from_this_machine() -> None:
    spent_since()
    time.sleep(0.05)
    assert 0.0 <= spent_since().idle <= 100.0
