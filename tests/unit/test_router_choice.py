from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events.leads import Contact, Origin
from services.router.choice import TURN, Nobody, Standing, Turn, choose, take_turn, territory
from services.router.rules import Absence, Rep, Routing
from tests.router_leads import book, lead


def team(*reps: Rep) -> Routing:
    body = {
        "pools": ["p"],
        "default_pool": "p",
        "reps": reps,
        "first_response": {"hot": "1m", "warm": "1m", "cold": "1m"},
    }
    return Routing.model_validate(body)


def rep(rep_id: str, **facts: object) -> Rep:
    return Rep.model_validate(
        {"id": rep_id, "name": rep_id, "pools": ["p"], "destination": "crm", "capacity": 10} | facts
    )


def nobody_yet(rules: Routing) -> dict[str, Standing]:
    return {r.id: Standing(r.id) for r in rules.reps}


def taken(standings: dict[str, Standing], turn: Turn) -> dict[str, Standing]:
    """The standings after this turn."""
    after = {
        rep_id: Standing(s.rep_id, s.open_leads, s.number, {**s.passes, turn.pool: turn.passes[rep_id]})
        if rep_id in turn.passes
        else s
        for rep_id, s in standings.items()
    }
    winner = after[turn.rep.id]
    return after | {turn.rep.id: Standing(turn.rep.id, winner.open_leads + 1, winner.number + 1, winner.passes)}


def play(rules: Routing, standings: dict[str, Standing], turns: int, absent: frozenset[str] = frozenset()) -> list[str]:
    """Ids of the reps that get the next leads; `standings` is brought up to date."""
    got = []
    for _ in range(turns):
        choice = choose(rules, lead(), standings, absent)
        if isinstance(choice, Turn):
            standings.update(taken(standings, choice))
            got.append(choice.rep.id)
    return got


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(1, 150))
@settings(max_examples=150, deadline=None)
def test_after_any_number_of_leads_nobody_is_a_whole_lead_from_the_promised_share(weights: list[int], n: int) -> None:
    reps = [rep(f"r{i}", weight=w, capacity=1000) for i, w in enumerate(weights)]
    passes: dict[str, int] = {}
    counts = dict.fromkeys((r.id for r in reps), 0)
    for turn in range(1, n + 1):
        winner, moved = take_turn(reps, passes)
        passes |= moved
        counts[winner.id] += 1
        for r in reps:
            assert abs(counts[r.id] - turn * r.weight / sum(weights)) <= 1 + 1e-6


def test_a_heavy_rep_among_many_light_ones_is_not_served_in_one_run() -> None:
    """Plain stride scheduling gives the heavy one its ten leads at once, before any other has one."""
    rules = team(rep("heavy", weight=10, capacity=100), *(rep(f"light{i}", capacity=100) for i in range(10)))
    first = play(rules, nobody_yet(rules), 10)
    assert 4 <= first.count("heavy") <= 6


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=5),
    st.integers(0, 40),
    st.sets(st.integers(0, 4)),
)
@settings(max_examples=150, deadline=None)
def test_capacity_is_never_exceeded_and_nobody_absent_receives(
    reps: list[tuple[int, int]], leads: int, away: set[int]
) -> None:
    rules = team(*(rep(f"r{i}", weight=w, capacity=c) for i, (w, c) in enumerate(reps)))
    standings = nobody_yet(rules)
    absent = frozenset(f"r{i}" for i in away)
    got = play(rules, standings, leads, absent)
    assert absent.isdisjoint(got)
    assert all(standings[r.id].open_leads <= r.capacity for r in rules.reps)
    assert len(got) == min(leads, sum(r.capacity for r in rules.reps if r.id not in absent))


def test_the_same_arguments_give_the_same_answer() -> None:
    rules = book().rules
    standings = nobody_yet(rules)
    assert choose(rules, lead(), standings, ()) == choose(rules, lead(), dict(reversed(standings.items())), ())


def test_ties_go_to_the_first_id() -> None:
    rules = team(rep("zoe"), rep("abel"))
    assert play(rules, nobody_yet(rules), 2) == ["abel", "zoe"]


@pytest.mark.parametrize("before", ["was absent", "is new"])
def test_whoever_comes_back_or_is_new_takes_turns_and_is_not_flooded(before: str) -> None:
    rules = team(rep("a", capacity=1000), rep("b", capacity=1000))
    standings = nobody_yet(rules)
    if before == "was absent":
        play(rules, standings, 2)
    play(rules, standings, 100, frozenset("b"))
    assert play(rules, standings, 10).count("b") == 5


def test_a_newcomer_starts_at_the_mean_of_the_others() -> None:
    reps = [rep("a"), rep("b", weight=2), rep("new")]
    winner, moved = take_turn(reps, {"a": 40 * TURN, "b": 38 * TURN})
    assert winner.id == "b"
    assert moved == {"b": 38 * TURN + TURN // 2, "new": (40 + 2 * 38) * TURN // 3}


def test_a_rep_that_was_full_is_owed_nothing_for_that_time() -> None:
    rules = team(rep("a", capacity=1000), rep("b", capacity=1))
    standings = nobody_yet(rules)
    play(rules, standings, 100)
    freed = standings["b"]
    standings["b"] = Standing("b", 0, freed.number, freed.passes)
    roomy = team(rep("a", capacity=1000), rep("b", capacity=1000))
    assert play(roomy, standings, 10).count("b") == 5


def test_a_specialist_catches_up_with_what_only_others_could_take() -> None:
    rules = team(rep("all", capacity=1000), rep("only", capacity=1000, product_lines=["kitchens"]))
    standings = nobody_yet(rules)
    for _ in range(6):
        choice = choose(rules, lead(product_line="baths"), standings, ())
        assert isinstance(choice, Turn)
        standings.update(taken(standings, choice))
    play(rules, standings, 6)
    assert standings["all"].number == standings["only"].number == 6


@pytest.mark.parametrize(
    ("facts", "absent", "tried", "load", "code"),
    [
        ({}, {"a"}, (), 0, "all_absent"),
        ({}, set(), (), 10, "all_full"),
        ({"product_lines": ["baths"]}, set(), (), 0, "no_skill"),
        ({"minimum_warmth": "hot"}, set(), (), 0, "too_cold"),
        ({}, set(), ("a",), 0, "all_tried"),
    ],
)
def test_a_lead_that_nobody_can_take_is_parked_with_the_reason(
    facts: dict[str, object], absent: set[str], tried: tuple[str, ...], load: int, code: str
) -> None:
    rules = team(rep("a", **facts))
    choice = choose(rules, lead(warmth="warm"), {"a": Standing("a", load)}, absent, tried)
    assert isinstance(choice, Nobody)
    assert choice.reasons[0].code == code
    assert choice.pool == ("p" if code in ("all_absent", "all_full") else None)


def test_several_reasons_are_told_one_by_one_with_their_reps() -> None:
    rules = team(rep("a"), rep("b", product_lines=["baths"]), rep("c", product_lines=["baths"]))
    choice = choose(rules, lead(), nobody_yet(rules), {"a"})
    assert [(r.code, r.text) for r in choice.reasons if r.code.startswith("skipped")] == [
        ("skipped_absent", "Passed over (away): a"),
        ("skipped_product_line", "Passed over (not for this product line): b, c"),
    ]
    assert choice.reasons[0].code == "nobody_free"


def test_the_choice_says_which_territory_which_weight_and_which_load() -> None:
    rules = book().rules
    choice = choose(rules, lead(), nobody_yet(rules) | {"ana": Standing("ana", 14, 20)}, {"beto"})
    assert [(r.code, r.text) for r in choice.reasons] == [
        ("default_pool", "No territory covers it: default pool north"),
        ("turn", "Next in turn: Ana Prueba (weight 2, 14 of 100 open leads)"),
        ("skipped_absent", "Passed over (away): Beto Prueba"),
    ]


TERRITORIES = {
    "pools": ["one", "two", "rest"],
    "default_pool": "rest",
    "territories": [
        {"name": "first", "pool": "one", "when": {"country": ["es"], "postcode": ["41", "29"]}},
        {"name": "second", "pool": "two", "when": {"country": ["ES"]}},
        {"name": "third", "pool": "two", "when": {"phone": ["+34"], "language": ["ES"], "channel": ["fair"]}},
    ],
    "reps": [],
    "first_response": {"hot": "1m", "warm": "1m", "cold": "1m"},
}


@pytest.mark.parametrize(
    ("contact", "channel", "pool"),
    [
        (Contact(country="ES", postcode="41001"), None, "one"),
        (Contact(country="ES", postcode="28041"), None, "two"),
        (Contact(country="FR", postcode="41001"), None, "rest"),
        (Contact(phone="+34600000001", language="es"), "fair", "two"),
        (Contact(phone="+34600000001", language="es"), "web", "rest"),
        (Contact(), None, "rest"),
    ],
)
def test_the_first_territory_whose_attributes_all_match_names_the_pool(
    contact: Contact, channel: str | None, pool: str
) -> None:
    rules = Routing.model_validate(TERRITORIES)
    found, _ = territory(rules, lead(contact=contact, origin=Origin(source="web", channel=channel)))
    assert found == pool


def test_without_territory_and_default_pool_a_lead_is_parked_for_a_person() -> None:
    choice = choose(Routing.model_validate(TERRITORIES | {"default_pool": None}), lead(contact=Contact()), {}, ())
    assert isinstance(choice, Nobody)
    assert choice.reasons[0].code == "no_pool"


@pytest.mark.parametrize(
    ("hour", "timezone", "away"),
    [(22, "UTC", False), (23, "Europe/Madrid", True), (4, "America/Mexico_City", False), (12, "UTC", True)],
)
def test_an_absence_is_counted_in_days_of_its_own_time_zone(hour: int, timezone: str, away: bool) -> None:
    """From the 2nd: at 23 UTC on the 1st it has begun in Madrid; at 4 UTC on the 2nd not yet in Mexico."""
    day = 1 if hour > 20 else 2
    absence = Absence.model_validate({"from": "2026-03-02", "until": "2026-03-02", "timezone": timezone})
    assert absence.covers(datetime(2026, 3, day, hour, tzinfo=UTC)) is away
