from datetime import timedelta
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.contribution import changes, funnel, speed, submissions
from services.analytics.rows import (
    END_STATES,
    Assigned,
    Closing,
    Holder,
    Lead,
    Qualified,
    Submission,
    merge_leads,
    merge_submissions,
)
from tests.analytics_feed import START
from tests.analytics_rows import arrival, standing

WORDS = st.sampled_from(("", "a", "b", 'say "hi"', "back\\slash", "(x,y)", "naïve, ñ"))
MOMENTS = st.integers(0, 10**7).map(lambda ms: START + timedelta(milliseconds=ms))
VERSIONS = st.integers(1, 5)
OPTIONAL_MOMENTS = st.none() | MOMENTS
LEADS = st.builds(
    Lead,
    st.just("lead"),
    st.none() | st.builds(Qualified, VERSIONS, MOMENTS, WORDS, WORDS, WORDS, WORDS, WORDS, st.booleans()),
    st.none() | st.builds(Assigned, VERSIONS, st.sampled_from(("assigned", "parked", "closed"))),
    st.none() | st.builds(Holder, VERSIONS, WORDS, WORDS, WORDS),
    st.none() | st.builds(Closing, MOMENTS, st.sampled_from(("won", "lost", "returned")), st.integers(0, 10**9), WORDS),
    OPTIONAL_MOMENTS,
    OPTIONAL_MOMENTS,
)
ARRIVED = Submission("s", START, "web", "5a0f3c1e-0b57-5c2e-9d0e-3f3a6f1d7c11")
SUBMISSIONS = st.builds(
    lambda told, state, at: told._replace(
        end_state=state, lead_id=None if state == "accepted" else f"of-{state}", assigned_at=at
    ),
    st.sampled_from((Submission("s"), ARRIVED)),
    st.sampled_from(END_STATES),
    OPTIONAL_MOMENTS,
)
Shuffled = tuple[list[Any], list[Any]]


def shuffled(told: st.SearchStrategy[Any]) -> st.SearchStrategy[Shuffled]:
    """Accounts once in order, and the same ones twice in any order."""
    return st.lists(told, min_size=1, max_size=8).flatmap(lambda xs: st.tuples(st.just(xs), st.permutations(xs + xs)))


@given(shuffled(LEADS))
def test_a_lead_is_the_same_whatever_the_order_and_repetition_of_its_events(case: Shuffled) -> None:
    once, twice = case
    assert reduce(merge_leads, twice) == reduce(merge_leads, once)


@given(shuffled(SUBMISSIONS))
def test_a_submission_is_the_same_whatever_the_order_and_repetition(case: Shuffled) -> None:
    once, twice = case
    assert reduce(merge_submissions, twice) == reduce(merge_submissions, once)


@given(st.lists(LEADS, min_size=1, max_size=8))
def test_contribution_after_minus_before_adds_up_to_the_contribution_of_the_final_lead(told: list[Lead]) -> None:
    before: Lead | None = None
    total: dict[object, tuple[int, ...]] = {}
    for partial in told:
        after = partial if before is None else merge_leads(before, partial)
        for key, counts in changes([(before and standing(before), standing(after))], funnel).items():
            total[key] = tuple(map(sum, zip(total.get(key, (0,) * 8), counts, strict=True)))
        before = after
    assert before is not None
    expected = funnel(standing(before))
    assert {k: v for k, v in total.items() if any(v)} == (dict([expected]) if expected else {})


@given(st.lists(st.lists(SUBMISSIONS, min_size=1, max_size=4), min_size=1, max_size=5))
def test_each_arrived_submission_counts_once_under_one_end_state(told: list[list[Submission]]) -> None:
    finals = [reduce(merge_submissions, partials) for partials in told]
    total = changes([(None, arrival(final)) for final in finals], submissions)
    assert sum(counts[0] for counts in total.values()) == sum(final.received_at is not None for final in finals)
    opened = [f for f in finals if f.end_state == "opened" and f.received_at and f.assigned_at]
    assert sum(counts[0] for counts in changes([(None, arrival(f)) for f in finals], speed).values()) == len(opened)


def test_the_highest_version_tells_the_state_and_the_first_moment_the_milestone() -> None:
    early, late = START, START + timedelta(hours=1)
    newer = Lead("l", assigned=Assigned(3, "parked"), holder=Holder(2, "bo", "", ""), assigned_at=late)
    older = Lead("l", assigned=Assigned(1, "assigned"), holder=Holder(1, "ana", "", ""), assigned_at=early)
    merged = merge_leads(newer, older)
    assert (merged.assigned, merged.holder, merged.assigned_at) == (newer.assigned, newer.holder, early)
