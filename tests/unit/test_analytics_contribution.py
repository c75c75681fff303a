from datetime import date

import pytest

from services.analytics.contribution import BOUNDS_MS, Arrival, Standing, changes, funnel, speed, submissions

DAY = date(2026, 3, 2)
OPEN = Standing(DAY, "web", "net", "spring", "warm", False, None, None, False, False, None, None, None)
HELD = OPEN._replace(state="assigned", rep_id="ana", assigned=True)
WON = HELD._replace(accepted=True, outcome="won", cents=123_456, currency="EUR")


def counts(lead: Standing) -> dict[str, int]:
    item = funnel(lead)
    assert item is not None
    names = ("leads", "assigned", "accepted", "won", "lost", "returned", "parked", "cents")
    return {name: n for name, n in zip(names, item[1], strict=True) if n}


def test_a_lead_counts_each_step_that_it_has_taken() -> None:
    assert counts(OPEN) == {"leads": 1}
    assert counts(HELD) == {"leads": 1, "assigned": 1}
    assert counts(WON) == {"leads": 1, "assigned": 1, "accepted": 1, "won": 1, "cents": 123_456}
    assert counts(HELD._replace(outcome="returned")) == {"leads": 1, "assigned": 1, "returned": 1}


def test_only_a_won_lead_has_revenue() -> None:
    lost = WON._replace(outcome="lost")
    assert counts(lost) == {"leads": 1, "assigned": 1, "accepted": 1, "lost": 1}
    assert funnel(lost)[0].currency == ""  # type: ignore[index]


def test_a_parked_lead_has_no_owner() -> None:
    parked = HELD._replace(state="parked")
    assert funnel(parked)[0].owner == ""  # type: ignore[index]
    assert counts(parked) == {"leads": 1, "assigned": 1, "parked": 1}


def test_tests_and_leads_of_unknown_origin_do_not_count() -> None:
    assert funnel(OPEN._replace(is_test=True)) is None
    assert funnel(HELD._replace(day=None)) is None


def test_a_reassignment_moves_the_lead_from_one_owner_to_the_other() -> None:
    moved = changes([(HELD, HELD._replace(rep_id="bo"))], funnel)
    assert {key.owner: n[:2] for key, n in moved.items()} == {"ana": (-1, -1), "bo": (1, 1)}


def test_what_does_not_change_a_contribution_changes_nothing() -> None:
    assert changes([(HELD, HELD), (WON, WON._replace(state="closed"))], funnel) == {}


@pytest.mark.parametrize(
    ("waited_ms", "upto_ms"),
    [(-3.0, 5), (0.0, 5), (5.0, 5), (5.1, 10), (86_400_000.0, 86_400_000), (1e12, BOUNDS_MS[-1])],
)
def test_a_wait_falls_into_the_first_bucket_that_holds_it(waited_ms: float, upto_ms: int) -> None:
    item = speed(Arrival(DAY, "web", "opened", waited_ms))
    assert item is not None
    assert item[0].upto_ms == upto_ms


def test_speed_is_measured_on_submissions_that_opened_a_lead_only() -> None:
    assert speed(Arrival(DAY, "web", "attached", 10.0)) is None
    assert speed(Arrival(DAY, "web", "opened", None)) is None
    assert speed(Arrival(None, "web", "opened", 10.0)) is None


def test_a_submission_counts_once_it_has_arrived_and_moves_on_with_its_end_state() -> None:
    on_its_way, opened = Arrival(DAY, "web", "accepted", None), Arrival(DAY, "web", "opened", None)
    assert submissions(Arrival(None, None, "opened", None)) is None
    moved = changes([(on_its_way, opened)], submissions)
    assert {key.end_state: n for key, n in moved.items()} == {"accepted": (-1,), "opened": (1,)}
