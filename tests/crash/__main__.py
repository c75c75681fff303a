"""`python -m tests.crash --kills 100`: the long crash run. Its last line is `kills=N violations=N`."""

from __future__ import annotations

import argparse
import random
import sys

from services.cli.up import WORKERS
from tests.crash import scenarios
from tests.crash.findings import judge
from tests.crash.gauges import all_move
from tests.crash.harness import Stand, running_stand

HITS = 2


def play(stand: Stand, kills: int, per_s: float) -> None:
    """The whole schedule."""
    stand.start_workers()
    stand.start_load(per_s)
    all_move(stand, 60, "the start")
    scenarios.random_kills(stand, max(kills - 4 * HITS * sum(map(len, scenarios.POINTS.values())) // 2, kills // 5))
    for _ in range(HITS):
        scenarios.fault_points(stand)
    for point in scenarios.STOP_POINTS:
        scenarios.stopped(stand, point)
    scenarios.rolling_restart(stand)
    scenarios.broker_killed(stand)
    scenarios.postgres_killed(stand)
    scenarios.random_kills(stand, max(0, kills - stand.kills))
    stand.rest(5)
    stand.stop_load()
    judge(stand)
    scenarios.groups_reset(stand)
    judge(stand)
    all_hit(stand, HITS)


def all_hit(stand: Stand, times: int) -> None:
    """Every fault point of every service was hit so many times, and every stop was made."""
    for service, points in scenarios.POINTS.items():
        told = ", ".join(f"{point} {stand.hits[service, point]}" for point in points)
        stand.say(f"{service} was hit at {told}")
        for point in points:
            if stand.hits[service, point] < times:
                stand.trouble(f"{service} was hit {stand.hits[service, point]} times at {point}, wanted {times}")
    stand.say(f"stops: {sum(stand.stops.values())} of {len(WORKERS)} services at {', '.join(scenarios.STOP_POINTS)}")


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
