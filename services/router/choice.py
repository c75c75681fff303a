"""Whom a lead goes to: territory, pool, who can take it, and whose turn it is.

Turns follow *earliest eligible virtual deadline first* (Stoica and Abdel-Wahab, 1995): stride scheduling with one more
condition. A rep's pass is the sum of 1/weight over its turns. Whoever is not ahead of the weighted mean of all passes
is owed a lead, and among those the one whose next turn ends first gets it. Plain stride can leave a rep as many leads
from its share as there are reps; this never leaves anyone more than one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from schemas.events.event import Reason
from services.router.rules import WARMTHS, Rep, Routing
from services.router.views import LeadOf

TURN = 720_720_000
"""Pass of one turn at weight 1. Divisible by most weights, so that passes stay whole numbers and ties stay ties."""


class Obstacle(NamedTuple):
    """The code that a lead is parked with where it holds for the whole pool, and the words for all, and for some."""

    parked: str
    of_all: str
    of_some: str


OBSTACLES: Mapping[str, Obstacle] = MappingProxyType({
    "absent": Obstacle("all_absent", "all are away", "away"),
    "full": Obstacle("all_full", "all have as many open leads as they can", "as many open leads as they can have"),
    "product_line": Obstacle("no_skill", "nobody is for this product line", "not for this product line"),
    "warmth": Obstacle("too_cold", "all take only warmer leads", "they take only warmer leads"),
    "tried": Obstacle("all_tried", "all have had it before", "have had it before"),
})  # fmt: skip
"""Why a rep is skipped."""

RANK: Mapping[str, int] = MappingProxyType({warmth: n for n, warmth in enumerate(WARMTHS)})

OF_THE_REP = frozenset(("absent", "full"))
"""Obstacles of the rep, not of this lead: they can pass by themselves, and they earn no claim to later leads."""


class Standing(NamedTuple):
    """What is known of one rep beside the rules. `number` counts its assignments, `passes` its turns by pool."""

    rep_id: str
    open_leads: int = 0
    number: int = 0
    passes: Mapping[str, int] = MappingProxyType({})


Standings = Mapping[str, Standing]


class Turn(NamedTuple):
    """The rep that takes the lead, and the passes in that pool which the choice moved."""

    pool: str
    rep: Rep
    passes: Mapping[str, int]
    reasons: tuple[Reason, ...]


class Nobody(NamedTuple):
    """Why nobody takes the lead. Waiting for somebody in `pool` may help; None: only other rules, or a person."""

    pool: str | None
    reasons: tuple[Reason, ...]


def choose(
    rules: Routing, lead: LeadOf, standings: Standings, absent: Container[str], tried: Container[str] = ()
) -> Turn | Nobody:
    """The rep that takes this lead now. The same arguments always give the same answer."""
    pool, covered = territory(rules, lead)
    if pool is None:
        return Nobody(None, (covered,))
    able, skipped = _sift(rules.members[pool], lead, standings, absent, tried)
    told = tuple([_skipped(why, tuple([rep.name for rep in reps])) for why, reps in skipped.items()])
    if not able:
        may_pass = not OF_THE_REP.isdisjoint(skipped)
        return Nobody(pool if may_pass else None, (_parked(pool, skipped), covered, *told))
    known = [(rep.id, standings[rep.id].passes) for rep in rules.members[pool]]
    passes = {rep_id: by_pool[pool] for rep_id, by_pool in known if pool in by_pool}
    away = [rep.id for why in OF_THE_REP for rep in skipped.get(why, ())]
    unable = [rep.id for why in skipped.keys() - OF_THE_REP for rep in skipped[why]]
    rep, moved = take_turn(able, passes, unable, away)
    load = standings[rep.id].open_leads
    turn = f"Next in turn: {rep.name} (weight {rep.weight}, {load} of {rep.capacity} open leads)"
    return Turn(pool, rep, moved, (covered, Reason(code="turn", text=turn), *told))


def territory(rules: Routing, lead: LeadOf) -> tuple[str | None, Reason]:
    """Pool of the first territory that covers the lead, else the default pool, with the reason."""
    attributes = _attributes(lead)
    for line in rules.territories:
        if _covers(line.when.tests, attributes):
            return line.pool, line.reason
    return rules.default_pool, rules.uncovered


def take_turn(
    able: Sequence[Rep], passes: Mapping[str, int], unable: Sequence[str] = (), away: Sequence[str] = ()
) -> tuple[Rep, dict[str, int]]:
    """Whose turn it is, and the passes that change by it.

    Newcomers start at the mean, and the reps `away` do not fall behind it: nobody is flooded on coming (back). Those
    that are only `unable` to take this lead keep their place.
    """
    weight = known = turns = 0
    for rep in able:
        weight += rep.weight
        if rep.id in passes:
            known += rep.weight
            turns += rep.weight * passes[rep.id]
    mean = turns // known if known else 0
    total = turns + (weight - known) * mean
    now = {rep.id: passes.get(rep.id, mean) for rep in able}
    ends, _, winner = min(
        [(now[rep.id] + TURN // rep.weight, rep.id, rep) for rep in able if now[rep.id] * weight <= total]
    )
    now |= {rep_id: passes.get(rep_id, mean) for rep_id in unable}
    now |= {rep_id: max(passes.get(rep_id, mean), mean) for rep_id in away}
    now[winner.id] = ends
    return winner, {rep_id: at for rep_id, at in now.items() if passes.get(rep_id) != at}


def open_pools(rules: Routing, loads: Mapping[str, int], absent: Container[str]) -> list[str]:
    """Pools in which somebody is there and below capacity."""
    return [
        pool
        for pool, reps in rules.members.items()
        if any(rep.id not in absent and loads.get(rep.id, 0) < rep.capacity for rep in reps)
    ]


def _sift(
    reps: Sequence[Rep], lead: LeadOf, standings: Standings, absent: Container[str], tried: Container[str]
) -> tuple[list[Rep], dict[str, list[Rep]]]:
    able: list[Rep] = []
    skipped: dict[str, list[Rep]] = {}
    for rep in reps:
        why = _obstacle(rep, lead, standings[rep.id].open_leads, absent, tried)
        if why is None:
            able.append(rep)
        else:
            skipped.setdefault(why, []).append(rep)
    return able, skipped


def _obstacle(rep: Rep, lead: LeadOf, load: int, absent: Container[str], tried: Container[str]) -> str | None:
    if rep.id in tried:
        return "tried"
    if rep.product_lines and lead.product_line not in rep.product_lines:
        return "product_line"
    if rep.minimum_warmth != "cold" and _warmer(rep.minimum_warmth, lead.warmth):
        return "warmth"
    if rep.id in absent:
        return "absent"
    return "full" if load >= rep.capacity else None


def _warmer(one: str, other: str) -> bool:
    """Whether `one` is warmer than `other`; a warmth that we do not know is cold."""
    return RANK.get(one, 0) > RANK.get(other, 0)


@lru_cache(maxsize=256)  # lead after lead skips the same reps
def _skipped(why: str, names: tuple[str, ...]) -> Reason:
    return Reason(code=f"skipped_{why}", text=f"Passed over ({OBSTACLES[why].of_some}): {', '.join(names)}")


def _parked(pool: str, skipped: Mapping[str, Sequence[Rep]]) -> Reason:
    if not skipped:
        return Reason(code="empty_pool", text=f"Pool {pool} has no reps")
    if len(skipped) == 1:
        obstacle = OBSTACLES[next(iter(skipped))]
        return Reason(code=obstacle.parked, text=f"Nobody in pool {pool} can take it: {obstacle.of_all}")
    return Reason(code="nobody_free", text=f"Nobody in pool {pool} can take it, for several reasons")


def _attributes(lead: LeadOf) -> dict[str, str]:
    contact, origin = lead.contact, lead.origin
    return {
        "country": (contact.country or "").casefold(),
        "region": (contact.region or "").casefold(),
        "postcode": (contact.postcode or "").casefold(),
        "phone": contact.phone or "",
        "language": (contact.language or "").casefold(),
        "product_line": lead.product_line.casefold(),
        "warmth": lead.warmth.casefold(),
        "origin_type": origin.origin_type.casefold(),
        "channel": (origin.channel or "").casefold(),
        "source": origin.source.casefold(),
    }


def _covers(tests: Sequence[tuple[str, tuple[str, ...], bool]], attributes: Mapping[str, str]) -> bool:
    for name, values, start in tests:
        found = attributes[name]
        if not (found.startswith(values) if start else found in values):
            return False
    return True
