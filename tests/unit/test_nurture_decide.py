from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import PEOPLE_CONSENTS
from services.nurture.consents import refusal, settle, wins
from services.nurture.decide import on_consent, on_lead, on_outcome
from services.nurture.service import build, decide_event
from services.nurture.settings import NurtureSettings
from services.nurture.world import Cause, Consent, Lead, World
from services.runtime.verdict import Drop, Emit, Incoming, Outgoing, Verdict, Wait
from tests.nurture_cases import (
    BOOK,
    EMAIL,
    NOW,
    SECRET,
    consent,
    context,
    hashed,
    later,
    lead,
    lead_id,
    outcome,
    plain_sequences,
    rule_book,
)

KEY = (hashed(), "email", "marketing")


def world(*leads: int, state: str | None = None) -> World:
    made = World(hashes={EMAIL: hashed()})
    row = Consent(*KEY, version=1 if state else 0, state=state, decided_at=NOW - timedelta(days=9) if state else None)
    made.load([row], [Lead(lead_id(n)) for n in leads or (1,)], [], [])
    return made


def types(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Emit)
    return [event.type for event in verdict.events]


def reason(event: Outgoing) -> str | None:
    assert event.data is not None
    return event.data.reason  # type: ignore[attr-defined]  # enrolment events have one


def enrolled() -> World:
    made = world(state="given")
    assert types(on_lead(lead(), made, context())) == ["enrolment.started"]
    return made


def test_a_cold_lead_with_consent_is_enrolled_and_its_first_mail_is_due_after_the_wait() -> None:
    made = enrolled()
    (step,) = made.steps.rows.values()
    assert (step.step, step.due_at, step.state) == (1, NOW + BOOK.rules.sequences[0].steps[0].after, "due")


@pytest.mark.parametrize(
    "event",
    [
        lead(warmth="hot"), lead(score=45.0), lead(origin_type="spear"), lead(email=None), lead(is_test=True),
        lead(status="won"), lead(status="returned"),
    ],
)  # fmt: skip
def test_who_is_not_of_the_audience_is_not_enrolled_and_nothing_of_it_is_kept(event: Incoming) -> None:
    made = world(state="given")
    assert types(on_lead(event, made, context())) == []
    assert made.leads.rows[lead_id()].facts is None
    assert made.leads.rows[lead_id()].seen_version == 1


@pytest.mark.parametrize("state", [None, "withdrawn", "suppressed"])
def test_without_consent_nobody_is_enrolled(state: str | None) -> None:
    assert types(on_lead(lead(), world(state=state), context())) == []


def test_a_sequence_that_needs_no_consent_takes_everybody_who_did_not_withdraw() -> None:
    sequences = [{**s, "needs_consent": False} for s in plain_sequences()]
    free = rule_book(sequences=sequences)
    assert types(on_lead(lead(), world(), context(book=free))) == ["enrolment.started"]
    assert types(on_lead(lead(), world(state="withdrawn"), context(book=free))) == []


def test_a_consent_that_comes_after_the_lead_enrols_it() -> None:
    made = world()
    assert types(on_lead(lead(), made, context())) == []
    assert types(on_consent(consent(), made, context())) == ["consent.changed", "enrolment.started"]


@pytest.mark.parametrize("kind", ["consent.withdrawn", "suppression.added"])
def test_a_withdrawal_ends_every_enrolment_of_the_address(kind: str) -> None:
    made = world(1, 2, state="given")
    for n in (1, 2):
        assert types(on_lead(lead(n), made, context())) == ["enrolment.started"]
    verdict = on_consent(consent(kind), made, context())
    assert types(verdict) == ["consent.changed", "enrolment.ended", "enrolment.ended"]
    assert isinstance(verdict, Emit)
    assert len({event.id for event in verdict.events}) == 3
    assert {reason(e) for e in verdict.events[1:]} == {"consent_withdrawn" if "withdrawn" in kind else "suppressed"}
    assert {(s.state, s.act_at) for s in made.steps.rows.values()} == {("skipped", None)}


def test_a_withdrawal_of_all_purposes_ends_enrolments_of_each() -> None:
    made = enrolled()
    made.load([Consent(hashed(), "email", "all")], [], [], [])
    assert types(on_consent(consent("consent.withdrawn", purpose="all"), made, context()))[1:] == ["enrolment.ended"]


@pytest.mark.parametrize("kind", ["lead.accepted", "lead.won", "lead.lost", "visit.planned"])
def test_an_outcome_on_the_stop_list_ends_the_enrolment_and_bars_the_next(kind: str) -> None:
    made = enrolled()
    verdict = on_outcome(outcome(kind), made, context())
    assert types(verdict) == ["enrolment.ended"]
    assert isinstance(verdict, Emit)
    assert reason(verdict.events[0]) == kind
    assert types(on_lead(lead(version=2), made, context())) == []


def test_an_outcome_that_stops_nothing_changes_nothing() -> None:
    made = enrolled()
    assert types(on_outcome(outcome("lead.stage_changed"), made, context())) == []
    assert [e.active for e in made.enrolments.rows.values()] == [True]


def test_an_outcome_of_an_unknown_lead_waits_for_it() -> None:
    assert on_outcome(outcome(), world(), context()) == Wait(lead_id())


@pytest.mark.parametrize(("change", "why"), [({"warmth": "hot"}, "warmth_hot"), ({"status": "won"}, "lead_won")])
def test_warmth_or_the_end_of_the_lead_ends_the_enrolment(change: dict[str, str], why: str) -> None:
    made = enrolled()
    verdict = on_lead(lead(version=2, **change), made, context())  # type: ignore[arg-type]  # warmth and status are texts
    assert types(verdict) == ["enrolment.ended"]
    assert isinstance(verdict, Emit)
    assert reason(verdict.events[0]) == why


def test_a_lead_runs_through_a_sequence_once() -> None:
    made = enrolled()
    on_lead(lead(version=2, warmth="hot"), made, context())
    assert types(on_lead(lead(version=3), made, context())) == []


def test_an_older_state_that_arrives_late_changes_nothing() -> None:
    made = enrolled()
    before = made.leads.rows[lead_id()]
    assert types(on_lead(lead(version=1, warmth="hot"), made, context())) == []
    assert made.leads.rows[lead_id()] == before


def test_a_sequence_that_left_the_book_ends() -> None:
    made = enrolled()
    verdict = on_lead(lead(version=2), made, context(book=rule_book(sequences=[])))
    assert isinstance(verdict, Emit)
    assert [reason(e) for e in verdict.events] == ["sequence_removed"]


def test_the_same_event_always_gives_the_same_ids() -> None:
    event = lead()
    first, second = (on_lead(event, world(state="given"), context()) for _ in range(2))
    assert first == second


def test_what_opened_no_lead_is_dropped() -> None:
    event = lead(event_type="interest.noted")
    assert decide_event(event, world(), context()) == Drop("no_lead")


def test_the_service_handles_every_type_of_its_inputs() -> None:
    service = build(NurtureSettings(secret=SECRET))
    assert {t.name for t in service.inputs} == {"leads.qualified.v1", "leads.outcomes.v1", "consents.received.v1"}
    assert all("nurture" in topic.readers for topic in service.inputs)
    assert PEOPLE_CONSENTS.name in service.published


STATEMENTS = st.lists(
    st.tuples(st.sampled_from(["given", "withdrawn", "suppressed"]), st.integers(0, 3)), min_size=1, max_size=4
)


@given(STATEMENTS)
def test_the_order_of_arrival_does_not_change_what_holds(statements: list[tuple[str, int]]) -> None:
    ends = set()
    for order in permutations(statements):
        made, cause = world(), Cause("c", NOW, NOW)
        for state, at in order:
            settle(made, KEY, state, later(at), cause, "website", "s")
        ends.add(made.consents.rows[KEY].state)
    last = max(at for _, at in statements)
    expected = {state for state, at in statements if at == last}
    everything = {state for state, _ in statements}
    assert ends == {"suppressed" if "suppressed" in everything else "withdrawn" if "withdrawn" in expected else "given"}


@given(STATEMENTS)
def test_versions_of_a_consent_count_without_gap_and_each_statement_that_wins_is_told(
    statements: list[tuple[str, int]],
) -> None:
    made, cause, versions = world(), Cause("c", NOW, NOW), []
    for new, at in statements:
        before = made.consents.rows[KEY]
        for event in settle(made, KEY, new, later(at), cause, "website", "s"):
            versions.append(event.version)
            assert made.consents.rows[KEY] != before
            assert made.consents.rows[KEY].decided_at == later(at)
    assert versions == list(range(1, len(versions) + 1))


def test_a_statement_from_the_future_counts_from_its_arrival() -> None:
    made = world()
    on_consent(consent("consent.given", at=later(9000), arrival=later(1)), made, context())
    assert made.consents.rows[KEY].decided_at == later(1)
    on_consent(consent("consent.withdrawn", at=later(60)), made, context())
    assert made.consents.rows[KEY].state == "withdrawn"


def test_at_equal_times_the_withdrawal_wins() -> None:
    given_row = Consent(*KEY, 1, "given", NOW)
    withdrawn = Consent(*KEY, 1, "withdrawn", NOW)
    assert wins(given_row, "withdrawn", NOW)
    assert not wins(withdrawn, "given", NOW)
    assert wins(withdrawn, "given", later(1))


def test_a_suppression_bars_every_purpose_of_mail_and_none_of_telephone() -> None:
    assert refusal([Consent(hashed(), "email", "service", 1, "suppressed", NOW)], "marketing", False) == "suppressed"
    assert refusal([Consent(hashed(), "phone", "marketing", 1, "suppressed", NOW)], "marketing", False) is None


def test_the_latest_word_on_this_purpose_or_on_all_counts() -> None:
    every = Consent(hashed(), "email", "all", 1, "withdrawn", NOW)
    one = Consent(*KEY, 1, "given", later(5))
    assert refusal([every, one], "marketing", True) is None
    assert refusal([every, one], "news", True) == "consent_withdrawn"
