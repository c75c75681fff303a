"""`python -m tests.crash --kills 100`: the long crash run. Its last line is `kills=N violations=N`."""

from __future__ import annotations

import argparse
import random
import sys

from tests.crash import scenarios
from tests.crash.arena import running_stand
from tests.crash.findings import all_hit, judge
from tests.crash.gauges import all_move
from tests.crash.harness import Stand

HITS = 2


def play(stand: Stand, kills: int, per_s: float) -> None:
    """The whole schedule. The groups are reset while the log is short: reading it all again takes its time."""
    stand.start_workers()
    stand.start_load(per_s)
    all_move(stand, 60, "the start")
    scenarios.random_kills(stand, kills // 10)
    stand.stop_load()
    judge(stand)
    scenarios.groups_reset(stand)
    stand.start_load(per_s)
    for _ in range(HITS):
        scenarios.fault_points(stand)
    for point in scenarios.STOP_POINTS:
        scenarios.stopped(stand, point)
    scenarios.rolling_restart(stand)
    scenarios.broker_killed(stand)
    scenarios.postgres_killed(stand)
    scenarios.random_kills(stand, max(0, kills - stand.kills))
    stand.stop_load()
    judge(stand)
    all_hit(stand, HITS)


def main() -> None:
    """Run the schedule on a stand of its own; exit code 1 with violations."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--kills", type=int, default=100)
    ask.add_argument("--per-s", type=float, default=520.0, help="records offered per second")
    ask.add_argument("--seed", type=int, default=random.randrange(10**6))
    me = ask.parse_args()
    print(f"seed {me.seed}", flush=True)
    with running_stand(me.seed) as stand:
        play(stand, me.kills, me.per_s)
    print(f"kills={stand.kills} violations={len(stand.troubles)}", flush=True)
    sys.exit(bool(stand.troubles))


if __name__ == "__main__":
    main()
