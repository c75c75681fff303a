"""The short form of the crash run: every fault point of every service once, under load."""

import pytest

from tests.crash.arena import running_stand
from tests.crash.findings import all_hit, judge
from tests.crash.scenarios import plan_faults


@pytest.mark.crash
def test_whoever_dies_wherever_nothing_is_lost_and_nothing_done_twice() -> None:
    """Two instances of each worker; each dies at each of its fault points; then `verify` finds nothing."""
    with running_stand(seed=1) as stand:
        until_hit = plan_faults(stand)
        stand.start_workers()
        stand.start_load(120)
        until_hit()
        stand.stop_load()
        judge(stand)
        all_hit(stand, 1)
    assert stand.troubles == []
