from typing import Any

import pytest

from services.qualify.recognise import claim
from services.qualify.service import decide
from services.qualify.world import World
from services.runtime.verdict import Drop, Incoming, Verdict, Wait
from tests.qualify_events import (
    CONTEXT,
    EMAIL,
    NOW,
    SECRET,
    activity,
    codes_of,
    days,
    email_hash,
    events_of,
    lead,
    outcome,
    retraction,
    submission_id,
    types_of,
)  # fmt: skip


def run(world: World, *events: Incoming) -> list[Verdict]:
    """Decide events with a world in which nothing stands but what these events themselves leave."""
    for event in events:
        if event.type == "lead.received":
            world.claims[event.id] = claim(event.data, event.id, SECRET)
    return [decide(event, world, CONTEXT) for event in events]


def only_lead(world: World) -> Any:
    (found,) = world.leads.values()
    return found.state


def test_a_new_person_gets_a_record_and_a_lead() -> None:
    world = World()
    (verdict,) = run(world, lead(1, contact={"full_name": "Ana Example"}))
    person, opened = events_of(verdict)
    assert (person.type, opened.type, person.version, opened.version) == ("person.changed", "lead.qualified", 1, 1)
    assert opened.key == only_lead(world).lead_id
    assert only_lead(world).contact.full_name == "Ana Example"
    assert codes_of(opened)[:2] == ["opened", "new_person"]
    assert [s.end_state for s in world.submissions] == ["opened"]


def test_a_repeated_enquiry_attaches_to_the_open_lead_and_raises_its_score() -> None:
    world = World()
    first, again = run(world, lead(1), lead(2, message="What is the price?", answers={"size": "5"}))
    before, (attached,) = events_of(first)[1], events_of(again)
    assert (attached.type, attached.key, attached.version) == ("lead.attached", before.key, 2)
    state = only_lead(world)
    assert (state.submissions, state.message, state.answers) == (2, "What is the price?", {"size": "5"})
    assert state.score > before.data.lead.score  # type: ignore[union-attr]
    assert [s.end_state for s in world.submissions] == ["opened", "attached"]


def test_a_record_that_did_not_change_is_not_published_again() -> None:
    world = World()
    _, same, other = run(world, lead(1), lead(2), lead(3, contact={"city": "Madrid"}))
    assert types_of(same) == ["lead.attached"]
    assert types_of(other) == ["person.changed", "lead.attached"]
    person = events_of(other)[0]
    assert (person.version, person.data.submissions) == (2, 3)  # type: ignore[union-attr]


def test_another_product_line_opens_another_lead_of_the_same_person() -> None:
    world = World()
    run(world, lead(1), lead(2, product="Maintenance of a pump"))
    assert len(world.persons) == 1
    assert {x.product_line for x in world.leads.values()} == {"general", "service"}


def test_the_same_phone_alone_is_the_same_person_and_a_new_email_becomes_another_key() -> None:
    world = World()
    _, second = run(world, lead(1), lead(2, email="ana.work@example.com"))
    person, attached = events_of(second)
    assert "known_by_phone" in codes_of(attached)
    assert email_hash("ana.work@example.com") in person.data.identities  # type: ignore[union-attr]
    assert person.data.contact.email == EMAIL  # type: ignore[union-attr]


def test_where_email_and_phone_name_two_people_the_email_decides_and_the_phone_stays() -> None:
    world = World()
    by_email, by_phone, both = run(world, lead(1, phone=None), lead(2, email=None), lead(3))
    ana = events_of(by_email)[0].key
    other = events_of(by_phone)[0].key
    assert world.leads[events_of(both)[-1].key].person_id == ana
    assert "phone_of_another_person" in codes_of(events_of(both)[-1])
    assert ana != other
    assert set(world.owners.values()) == {ana, other}


def test_a_role_address_is_no_key_of_a_person() -> None:
    world = World()
    first = lead(1, email="info@example.com", role=True, contact={"email_raw": "Info@example.com"})
    second = lead(2, email="info@example.com", phone="+34600000002", role=True)
    run(world, first, second)
    assert len(world.persons) == 2
    contacts = [person.record.contact for person in world.persons.values()]
    assert [(c.email, c.email_raw) for c in contacts] == [(None, "Info@example.com"), (None, None)]


@pytest.mark.parametrize(
    ("event", "event_type", "end_state", "code"),
    [
        (lead(1, is_test=True), "lead.disqualified", "test", "test"),
        (lead(1, email=None, phone=None), "interest.noted", "interest", "no_personal_address"),
        (lead(1, email="info@example.com", phone=None, role=True), "interest.noted", "interest", "no_personal_address"),
        (lead(1, email="a@mailinator.com"), "lead.disqualified", "disqualified", "disposable_address"),
        (
            lead(1, email_quality="implausible", phone_quality="invalid"),
            "lead.disqualified",
            "disqualified",
            "implausible",
        ),
    ],
)
def test_what_opens_no_lead_ends_with_its_reason(event: Incoming, event_type: str, end_state: str, code: str) -> None:
    world = World()
    (verdict,) = run(world, event)
    (closed,) = events_of(verdict)
    assert (closed.type, closed.version, codes_of(closed)) == (event_type, 1, [code])
    assert closed.data.is_test is (end_state == "test")  # type: ignore[union-attr]
    assert [s.end_state for s in world.submissions] == [end_state]
    assert not world.persons
    assert not world.leads


@pytest.mark.parametrize(("event_type", "status"), [("lead.won", "won"), ("lead.lost", "lost")])
def test_a_closed_lead_makes_room_for_another(event_type: str, status: str) -> None:
    world = World()
    (opened,) = run(world, lead(1))
    lead_id = events_of(opened)[1].key
    closed, repeated, again = run(world, outcome(2, lead_id, event_type), outcome(3, lead_id, event_type), lead(4))
    assert types_of(closed)[-1] == "lead.rescored"
    assert world.leads[lead_id].state.status == status
    assert types_of(repeated) == []
    assert types_of(again) == ["lead.qualified"]


def test_what_a_former_holder_lost_stays_open_and_a_sale_is_never_lost() -> None:
    world = World()
    (opened,) = run(world, lead(1))
    lead_id = events_of(opened)[1].key
    (ignored,) = run(world, outcome(2, lead_id, "lead.lost", by_holder=False))
    assert types_of(ignored) == []
    assert world.leads[lead_id].state.status == "open"
    _, late = run(world, outcome(3, lead_id, "lead.won"), outcome(4, lead_id, "lead.lost"))
    assert types_of(late) == []
    assert world.leads[lead_id].state.status == "won"


@pytest.mark.parametrize("event_type", ["lead.won", "lead.lost"])
def test_who_asked_again_before_the_closing_was_known_gets_a_new_lead(event_type: str) -> None:
    """The owner had been told of one submission when it closed the lead: of the second nobody was told."""
    world = World()
    again = lead(2, at=NOW - days(1), origin={"source": "fair"}, contact={"city": "Madrid"}, message="Any news?")
    old = events_of(run(world, lead(1, product="a pump"), again)[0])[1].key
    (verdict,) = run(world, outcome(3, old, event_type, seen=1))
    closed, opened = events_of(verdict)[-2:]
    assert (closed.type, closed.key, opened.type, opened.version) == ("lead.rescored", old, "lead.qualified", 1)
    told: Any = opened.data
    state = told.lead
    assert (told.correlation_id, told.cause_id, told.submission_id) == (submission_id(2), submission_id(3), None)
    assert (state.status, state.origin.source, state.opened_at) == ("open", "fair", NOW - days(1))
    assert (state.contact.city, state.product, state.message) == ("Madrid", "a pump", "Any news?")
    assert (state.person_id, state.product_line, state.submissions) == (closed.data.lead.person_id, "general", 1)  # type: ignore[union-attr]
    assert codes_of(opened)[0] == codes_of(closed)[-1] == "asked_again"
    assert opened.key in closed.data.reasons[-1].text  # type: ignore[union-attr]
    assert [s.end_state for s in world.submissions] == ["opened", "attached"]


@pytest.mark.parametrize("seen", [2, 3, None])
def test_a_closing_by_an_owner_who_knew_of_every_submission_opens_nothing(seen: int | None) -> None:
    """None: a record of a router that did not say it yet."""
    world = World()
    old = events_of(run(world, lead(1), lead(2))[0])[1].key
    (verdict,) = run(world, outcome(3, old, "lead.lost", seen=seen))
    assert types_of(verdict) == ["lead.rescored"]


@pytest.mark.parametrize("kinds", [("lead.lost", "lead.won"), ("lead.won", "lead.lost"), ("lead.won", "lead.won")])
def test_of_two_closings_only_the_first_that_is_read_opens_a_lead(kinds: tuple[str, str]) -> None:
    world = World()
    old = events_of(run(world, lead(1), lead(2))[0])[1].key
    both = run(world, *(outcome(3 + n, old, kind, seen=1) for n, kind in enumerate(kinds)))
    assert [t for verdict in both for t in types_of(verdict)].count("lead.qualified") == 1
    assert sorted(x.status for x in world.leads.values()) == ["open", "won"]


def test_the_new_lead_stands_for_all_that_was_asked_in_vain_and_the_next_enquiry_attaches_to_it() -> None:
    world = World()
    old = events_of(run(world, lead(1), lead(2), lead(3, message="Hello?"))[0])[1].key
    closed, next_one = run(world, outcome(4, old, "lead.lost", seen=1), lead(5))
    opened, (attached,) = events_of(closed)[1], events_of(next_one)
    assert (opened.data.lead.submissions, opened.data.lead.message) == (2, "Hello?")  # type: ignore[union-attr]
    assert (attached.type, attached.key, attached.version) == ("lead.attached", opened.key, 2)
    assert attached.data.lead.repeat.submission_id == submission_id(5)  # type: ignore[union-attr]


def test_a_lead_given_back_stays_open_so_nobody_asked_in_vain() -> None:
    world = World()
    old = events_of(run(world, lead(1), lead(2))[0])[1].key
    assert [types_of(v) for v in run(world, outcome(3, old, "lead.returned", seen=1))] == [[]]
    assert only_lead(world).status == "open"


@pytest.mark.parametrize("event_type", ["lead.won", "order.placed"])
def test_a_win_or_an_order_makes_a_customer_once(event_type: str) -> None:
    world = World()
    (opened,) = run(world, lead(1))
    lead_id = events_of(opened)[1].key
    first, second = run(world, outcome(2, lead_id, event_type), outcome(3, lead_id, "order.placed"))
    assert types_of(first)[0] == "person.changed"
    assert events_of(first)[0].data.customer is True  # type: ignore[union-attr]
    assert types_of(second) == []


def test_outcomes_that_close_nothing_change_nothing() -> None:
    world = World()
    (opened,) = run(world, lead(1))
    before = dict(world.leads)
    assert [types_of(v) for v in run(world, outcome(2, events_of(opened)[1].key, "visit.held"))] == [[]]
    assert world.leads == before


def test_an_outcome_of_an_unknown_lead_waits_for_it() -> None:
    assert run(World(), outcome(1, "5ab0d15e-9971-5022-9bc1-9ae69222b2dc", "lead.won")) == [
        Wait("5ab0d15e-9971-5022-9bc1-9ae69222b2dc")
    ]


def test_an_activity_of_an_unknown_person_waits_for_the_identity() -> None:
    assert run(World(), activity(1)) == [Wait(email_hash(EMAIL))]


def test_an_activity_gives_points_to_the_open_lead() -> None:
    world = World()
    opened, clicked = run(world, lead(1), activity(2))
    recorded, rescored = events_of(clicked)
    assert (recorded.type, recorded.key) == ("activity.recorded", events_of(opened)[1].key)
    assert (rescored.type, rescored.version, codes_of(rescored)[0]) == ("lead.rescored", 2, "activity")
    assert only_lead(world).engagement == 5


def test_an_activity_counts_for_the_lead_opened_last() -> None:
    world = World()
    *_, clicked = run(world, lead(1, product="repair"), lead(2, at=NOW - days(1)), activity(3))
    assert world.leads[events_of(clicked)[0].key].product_line == "service"


def test_points_of_a_clock_that_runs_ahead_begin_to_fade_now() -> None:
    world = World()
    run(world, lead(1), activity(2, at=NOW + days(14)))
    (found,) = world.leads.values()
    assert (found.engagement.points, found.engagement.at) == (5, NOW)


def test_an_activity_without_points_is_recorded_and_changes_no_lead() -> None:
    world = World()
    _, seen = run(world, lead(1), activity(2, kind="something new"))
    assert types_of(seen) == ["activity.recorded"]


def test_an_activity_of_a_person_without_an_open_lead_is_keyed_by_the_person() -> None:
    world = World()
    (opened,) = run(world, lead(1))
    _, seen = run(world, outcome(2, events_of(opened)[1].key, "lead.lost"), activity(3))
    (recorded,) = events_of(seen)
    assert (recorded.key, recorded.data.lead_id) == (events_of(opened)[0].key, None)  # type: ignore[union-attr]


def test_a_retraction_takes_the_points_away_once() -> None:
    world = World()
    click = activity(2)
    opened, _, taken_back, again = run(world, lead(1), click, retraction(3, click), retraction(4, click))
    recorded, _ = events_of(taken_back)
    assert recorded.data.points == -5  # type: ignore[union-attr]
    assert only_lead(world).score == events_of(opened)[1].data.lead.score  # type: ignore[union-attr]
    assert again == Drop("already_retracted")


def test_a_retraction_waits_for_what_it_retracts() -> None:
    assert run(World(), retraction(2, activity(1))) == [Wait(email_hash(EMAIL))]


def test_the_same_event_gives_the_same_decision() -> None:
    event = lead(1, message="price")
    twice = [run(World(), event) for _ in range(2)]
    assert twice[0] == twice[1]


def test_the_identity_of_a_submission_is_the_hash_of_its_email() -> None:
    event = lead(1)
    assert claim(event.data, event.id, SECRET).email == email_hash(EMAIL)
    assert claim(lead(1, email=None).data, "x", SECRET).phone == lead(1, email=None).data.identity
