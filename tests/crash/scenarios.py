"""What is done to the stand while the load goes on. Each scenario says in its log what it did and what it saw."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.embedded import kafka as kafka_part
from deploy.embedded import postgres as postgres_part
from deploy.embedded.process import end_group
from services.cli.up import WORKERS
from services.runtime.kafka.groups import group_offsets
from tests.crash.gauges import Waits, all_move, done, effects
from tests.crash.harness import Stand

BATCH = ("in_transaction", "after_db", "before_produce", "after_produce", "after_commit")
OUTBOX = ("outbox.before_produce", "outbox.after_produce")
POINTS: Mapping[str, Sequence[str]] = {
    "qualify": BATCH, "router": BATCH + OUTBOX, "nurture": BATCH + OUTBOX + ("after_claim", "after_call"),
    "analytics": BATCH,
}  # fmt: skip
"""Every place at which a service can be made to die: only router and nurture have clocks, only nurture calls."""
STOP_POINTS = ("in_transaction", "before_produce", "after_produce")
SESSION_S = 6.0
LONGEST_LOCK_S = 5.5
"""Statement timeout 5 s, and half a second to notice."""
LONGEST_STILL_S = 15.0
"""Session 6 s, joining anew, a lock of up to 4 s, on a machine that is busy."""


def random_kills(stand: Stand, count: int) -> None:
    """SIGKILL any instance, one in four of which comes back as another member."""
    for _ in range(count):
        stand.kill(stand.rng.choice(sorted(stand.workers)), fresh=stand.rng.random() < 0.25)
        stand.rest(stand.rng.uniform(0.2, 2.5))


def plan_faults(stand: Stand) -> Callable[[], bool]:
    """Arm the next starts: both instances of a service share its points. What is returned waits until all are hit."""
    want = {(service, point): stand.hits[service, point] + 1 for service in POINTS for point in POINTS[service]}
    for service, points in POINTS.items():
        shuffled = stand.rng.sample(points, len(points))
        for n in (1, 2):
            stand.plans[f"{service}-{n}"] = [_fault(stand, point) for point in shuffled[n - 1 :: 2]]

    def all_hit() -> bool:
        return all(stand.hits[pair] >= times for pair, times in want.items())

    return lambda: stand.until(all_hit, 300, "every fault point is hit")


def fault_points(stand: Stand) -> None:
    """Every fault point of every service once: its instances are killed, come back armed, and die point after point."""
    until_hit = plan_faults(stand)
    for name in sorted(stand.workers):
        stand.kill(name)
    until_hit()


def _fault(stand: Stand, point: str) -> str:
    return f"{point}:{stand.rng.randint(1, 4) if point in BATCH else 1}"


def stopped(stand: Stand, point: str) -> None:
    """An instance of every service stands still at a point for longer than its session, while others take over."""
    names = [f"{service}-{stand.rng.randint(1, 2)}" for service in WORKERS]
    for name in names:
        stand.restart(name, f"stop@{point}:{stand.rng.randint(2, 5)}")
    if not stand.until(lambda: all(map(stand.stands_still, names)), 60, f"{names} stand still at {point}"):
        return
    stand.say(f"stopped {', '.join(names)} at {point}")
    waits, until = Waits(), time.monotonic() + SESSION_S + 6
    while time.monotonic() < until:
        waits.look(stand)
        stand.rest(0.1)
    for name in names:
        os.kill(stand.workers[name].process.pid, signal.SIGCONT)
    stand.say(f"continued after {SESSION_S + 6:.0f} s; longest lock {waits.lock_s:.1f} s, longest standstill " +
              ", ".join(f"{service} {seconds:.1f} s" for service, seconds in waits.still_s.items()))  # fmt: skip
    if waits.lock_s > LONGEST_LOCK_S or max(waits.still_s.values()) > LONGEST_STILL_S:
        stand.trouble(f"others waited longer than the timeouts while {names} stood still at {point}")
    all_move(stand, 60, f"standstill at {point}")


def rolling_restart(stand: Stand) -> None:
    """Every instance is stopped cleanly and started again, one after the other."""
    for name in sorted(stand.workers):
        stand.restart(name)
        stand.rest(1.0)
    all_move(stand, 60, "the rolling restart")


def broker_killed(stand: Stand) -> None:
    """The broker dies and is started again."""
    _part_killed(stand, "kafka", lambda: kafka_part.answers(stand.here.kafka))


def postgres_killed(stand: Stand) -> None:
    """The database dies and is started again."""
    _part_killed(stand, "postgres", lambda: postgres_part.answers(stand.here.postgres))


def groups_reset(stand: Stand) -> None:
    """All groups start again at offset 0, the load being over: nothing may be published, sent or counted."""
    stand.stop_workers()
    before = effects(stand)
    stand.until(lambda: _forgotten(stand), 30, "all groups are empty")
    stand.start_workers()
    since = time.monotonic()
    stand.until(lambda: _all_committed(stand), 900, "all is read again")
    stand.rest(2.0)
    after = effects(stand)
    read = sum(end for place, end in before.items() if "/" in place)
    stand.say(f"groups reset: {read} records read again within {time.monotonic() - since:.0f} s")
    if changed := {place: (before[place], after[place]) for place in before if before[place] != after[place]}:
        stand.trouble(f"a replay had effects: {changed}")


def _part_killed(stand: Stand, name: str, answers: Callable[[], bool]) -> None:
    """SIGKILL a part under load; everybody must find it again alone once it is back."""
    end_group(stand.parts.running[name])
    stand.say(f"killed {name}")
    since = time.monotonic()
    stand.until(lambda: stand.parts.restarts[name] > 0 and answers(), 60, f"{name} is back")
    stand.say(f"{name} answers again after {time.monotonic() - since:.1f} s")
    all_move(stand, 60, f"the death of {name}")
    stand.say(f"every service goes on after {time.monotonic() - since:.1f} s")


def _forgotten(stand: Stand) -> bool:
    """Whether the broker has forgotten all groups' offsets: it does once no member is left."""
    admin = KafkaAdminClient(bootstrap_servers=stand.here.kafka)
    try:
        answers = admin.delete_groups([f"caudal.{service}" for service in WORKERS])
        return set(answers.values()) <= {"OK", "GroupIdNotFoundError"}
    except KafkaError:
        return False
    finally:
        admin.close()


def _all_committed(stand: Stand) -> bool:
    """Whether every group stands again where its service's fences do."""
    return all(
        group_offsets(stand.here.kafka, f"caudal.{service}").get(place, 0) >= offset
        for service, offsets in done(stand).items() for place, offset in offsets.items()
    )  # fmt: skip
