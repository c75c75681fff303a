from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events.event import Reason
from schemas.events.leads import Contact, LeadReceived
from schemas.events.people import Provenance
from services.qualify.conditions import Condition, all_hold
from services.qualify.engagement import Engagement, added, worth
from services.qualify.golden import REST, merged
from services.qualify.rules import ScoringRules
from services.qualify.scoring import disqualified, product_line, scored
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book
from tests.qualify_events import BOOK_FILE, NOW, RULES, days, lead

SUBMISSION: LeadReceived = lead(
    1, message="A PRICE please", budget=5000, answers={"machines": "12"}, contact={"company": "Example Ltd"}
).data
FIELDS: dict[str, Any] = {
    "lead_id": "l", "person_id": "p", "product_line": "general", "status": "open", "opened_at": NOW, "submissions": 1,
    **{name: getattr(SUBMISSION, name)
       for name in ("origin", "contact", "product", "message", "budget", "urgency", "answers")},
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "contact.company", "is": "present"}, True),
        ({"field": "contact.city", "is": "present"}, False),
        ({"field": "contact.city", "is": "absent"}, True),
        ({"field": "origin.source", "in": ["WEB", "fair"]}, True),
        ({"field": "contact.city", "in": ["none", "None"]}, False),
        ({"field": "contact.email_domain", "in": ["example.org"]}, True),
        ({"field": "message", "contains": ["price"]}, True),
        ({"field": "message", "contains": ["offer", "quote"]}, False),
        ({"field": "budget", "at_least": 5000}, True),
        ({"field": "budget", "at_least": 5000.01}, False),
        ({"field": "budget", "at_most": 5000}, True),
        ({"field": "answers.machines", "at_least": 10}, True),
        ({"field": "answers.unasked", "at_least": 0}, False),
        ({"field": "message", "at_most": 10}, False),
    ],
)
def test_a_condition_answers_one_question_about_one_field(condition: dict[str, Any], expected: bool) -> None:
    assert all_hold([Condition.model_validate(condition)])(SUBMISSION) is expected


def test_a_rule_holds_where_all_its_conditions_do() -> None:
    yes = Condition.model_validate({"field": "budget", "is": "present"})
    no = Condition.model_validate({"field": "product", "is": "present"})
    assert all_hold([yes, yes])(SUBMISSION)
    assert not all_hold([yes, no])(SUBMISSION)


@pytest.mark.parametrize("condition", [{"field": "budget"}, {"field": "budget", "at_least": 1, "at_most": 2}])
def test_a_condition_that_asks_nothing_or_twice_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one question"):
        Condition.model_validate(condition)


@given(st.text() | st.none(), st.text() | st.none(), st.dictionaries(st.just("machines"), st.text()))
def test_no_submission_makes_the_rules_fail(message: str | None, product: str | None, answers: dict[str, str]) -> None:
    submission = SUBMISSION.model_copy(update={"message": message, "product": product, "answers": answers})
    assert disqualified(submission, RULES) is None
    state, _ = scored(FIELDS | {"message": message, "product": product, "answers": answers}, Engagement(), RULES)
    assert state.score == state.fit


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("field: budget, at_least: 1000}", "field: budgets, at_least: 1000}", "no field 'budgets'"),
        ("half_life_days: 14", "half_life_days: 0", "half_life_days"),
        ("hot, at_least: 60", "hot, at_least: 20", "highest at_least down"),
        ("{warmth: cold}", "{warmth: cold, at_least: 1}", "highest at_least down"),
    ],
)
def test_a_book_with_a_fault_is_refused_with_its_remedy(was: str, becomes: str, says: str) -> None:
    text = BOOK_FILE.read_text()
    assert was in text
    with pytest.raises(RulesInvalid, match=says):
        parse_book("scoring", text.replace(was, becomes), ScoringRules)


def test_the_fault_of_a_condition_is_named_with_its_line() -> None:
    text = BOOK_FILE.read_text().replace("field: budget, at_least: 1000}", "field: budgets, at_least: 1000}")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "budgets" in row)
    with pytest.raises(RulesInvalid, match=rf":{line}: fit"):
        parse_book("scoring", text, ScoringRules)


@given(st.floats(-5, 200), st.floats(0, 1e6) | st.none(), st.sampled_from(["urgent", "low", None]))
def test_the_points_of_the_reasons_add_up_to_the_score(
    points: float, budget: float | None, urgency: str | None
) -> None:
    fields = FIELDS | {"budget": budget, "urgency": urgency}
    state, reasons = scored(fields, Engagement(points, NOW), RULES)
    assert sum(reason.points or 0 for reason in reasons) == pytest.approx(state.score, abs=0.01)
    assert state.engagement <= RULES.engagement.at_most
    assert state.warmth in {band.warmth for band in RULES.warmth}


@pytest.mark.parametrize(("points", "warmth"), [(0, "cold"), (29.99, "cold"), (30, "warm"), (50, "warm")])
def test_warmth_follows_the_bands(points: float, warmth: str) -> None:
    nothing_fits = FIELDS | {"contact": Contact(), "message": None, "budget": None}
    assert scored(nothing_fits, Engagement(points, NOW), RULES)[0].warmth == warmth


def test_urgency_raises_the_priority_and_says_so() -> None:
    calm, _ = scored(FIELDS, Engagement(), RULES)
    urgent, reasons = scored(FIELDS | {"urgency": "Urgent"}, Engagement(), RULES)
    assert urgent.priority == 3 > calm.priority
    assert "urgent_first" in [reason.code for reason in reasons]


def test_the_first_product_line_that_holds_is_taken_else_the_default() -> None:
    assert product_line(SUBMISSION, RULES) == "general"
    assert product_line(SUBMISSION.model_copy(update={"product": "Spare part for a REPAIR"}), RULES) == "service"
    assert product_line(SUBMISSION.model_copy(update={"product": "Recambios"}), RULES) == "parts"


def test_a_throw_away_address_is_a_reason_to_set_aside() -> None:
    contact = Contact(email="a@yopmail.com")
    reason = disqualified(SUBMISSION.model_copy(update={"contact": contact}), RULES)
    assert reason == Reason(code="disposable_address", text="The e-mail address is a throw-away one")


Happened = st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 60)), min_size=1, max_size=8)


def engaged(happened: list[tuple[float, float]]) -> Engagement:
    engagement = Engagement()
    for points, day in happened:
        engagement = added(engagement, points, NOW + timedelta(days=day), RULES.engagement)
    return engagement


@given(Happened, st.randoms(use_true_random=False))
def test_engagement_does_not_depend_on_the_order_of_arrival(happened: list[tuple[float, float]], random: Any) -> None:
    other = list(happened)
    random.shuffle(other)
    assert engaged(other).points == pytest.approx(engaged(happened).points)
    assert engaged(other).at == engaged(happened).at


@given(Happened, st.floats(0.1, 100), st.floats(0, 60))
def test_points_taken_back_leave_nothing(happened: list[tuple[float, float]], points: float, day: float) -> None:
    at = NOW + timedelta(days=day)
    with_it = added(engaged(happened), points, at, RULES.engagement)
    without = added(with_it, -points, at, RULES.engagement)
    expected = added(engaged(happened), 0, at, RULES.engagement)
    assert without.points == pytest.approx(expected.points, abs=1e-9)


def test_engagement_halves_with_every_half_life() -> None:
    later = added(Engagement(40, NOW), 0, NOW + days(RULES.engagement.half_life_days), RULES.engagement)
    assert worth(later, RULES.engagement) == 20


@given(st.permutations([(1, "Madrid"), (2, "Sevilla"), (3, "Bilbao")]))
def test_the_newest_value_of_a_field_wins_in_whatever_order_they_come(order: list[tuple[int, str]]) -> None:
    record: dict[str, str] = {}
    provenance = {REST: Provenance(submission_id="0", source="web", at=NOW)}
    for day, city in order:
        given_by = Provenance(submission_id=str(day), source="web", at=NOW + days(day))
        fresh = merged(record, provenance, {"city": city}, given_by)
        record |= fresh
        provenance |= dict.fromkeys(fresh, given_by)
    assert record == {"city": "Bilbao"}
    assert provenance["city"].submission_id == "3"


def test_the_first_address_of_a_person_stays() -> None:
    first = {REST: Provenance(submission_id="1", source="web", at=NOW)}
    second = Provenance(submission_id="2", source="web", at=NOW + days(1))
    said = {"email": "other@example.org", "city": "Madrid"}
    assert merged({"email": "ana@example.org"}, first, said, second) == {"city": "Madrid"}
