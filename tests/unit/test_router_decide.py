from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.events.assignments import Assignment
from schemas.events.outcomes import Outcome
from schemas.topics import LEADS_ASSIGNED, LEADS_OUTCOMES
from services.router.choice import Standing
from services.router.escalation import overdue, retried
from services.router.outcomes import known_form
from services.router.service import decide
from services.router.world import Lead, World
from services.runtime.verdict import Context, Dead, Drop, Emit, Incoming, Outgoing, Wait
from tests.router_leads import BODY, NOW, book, context, kinds, qualified, report, uid

ALL = ("ana", "beto", "cleo", "dina")


def world(*leads: int, absent: tuple[str, ...] = (), full: tuple[str, ...] = ()) -> World:
    standings = {r: Standing(r, 100 if r in full else 0) for r in ALL}
    return World({uid(n): Lead(uid(n)) for n in leads or (1,)}, standings, frozenset(absent))


def run(at: World, *events: Incoming, rules: Context | None = None) -> list[Outgoing]:
    """Everything that these events emit."""
    out: list[Outgoing] = []
    for event in events:
        verdict = decide(event, at, rules or context())
        assert isinstance(verdict, Emit)
        out += verdict.events
    return out


def state(event: Outgoing) -> Assignment:
    return Assignment.model_validate_json(event.value or "")


def due(at: World, n: int = 1, after: timedelta = timedelta(hours=5)) -> list[Outgoing]:
    """What the clock makes of this lead at the time `after` its arrival."""
    when = NOW + after
    return list(overdue(at, at.leads[uid(n)], context(when, when)))


def test_a_new_lead_gets_an_owner_with_number_load_cap_and_deadline() -> None:
    at = world()
    at.standings["ana"] = Standing("ana", 7, 41)
    (told,) = run(at, qualified())
    data = state(told)
    assert (told.topic, told.type, data.state, data.version, data.attempt) == (
        LEADS_ASSIGNED, "lead.assigned", "assigned", 1, 1
    )  # fmt: skip
    assert data.owner is not None
    assert (data.owner.rep_id, data.owner.number, data.owner.load, data.owner.capacity) == ("ana", 42, 7, 100)
    assert (data.assigned_at, data.respond_by) == (NOW, NOW + timedelta(minutes=15))
    assert (data.seen_version, data.rules_version) == (1, book().version)
    assert at.standings["ana"].open_leads == 8


def test_a_lead_counts_only_for_the_rep_that_gets_it_though_others_passes_move() -> None:
    at = world(absent=("beto",))
    run(at, qualified())
    assert {s.rep_id: (s.open_leads, s.number) for s in at.standings.values()} == {
        "ana": (1, 1), "beto": (0, 0), "cleo": (0, 0), "dina": (0, 0)
    }  # fmt: skip
    assert at.standings["beto"].passes.keys() == {"north"}


@pytest.mark.parametrize("kind", ["lead.qualified", "lead.attached", "lead.rescored"])
def test_the_state_decides_not_the_type(kind: str) -> None:
    """Whichever event of an unassigned lead comes first assigns it; whichever comes later updates it."""
    at = world()
    assert kinds(run(at, qualified(version=2, kind=kind), qualified(version=3, kind="lead.qualified"))) == [
        "lead.assigned",
        "lead.updated",
    ]


def test_a_state_older_than_the_one_seen_changes_nothing() -> None:
    at = world()
    assert len(run(at, qualified(version=3), qualified(version=2, kind="lead.attached"))) == 1
    assert at.leads[uid(1)].seen_version == 3


def test_an_update_carries_the_new_state_and_keeps_owner_reasons_and_deadline() -> None:
    first, second = run(at := world(), qualified(), qualified(version=2, kind="lead.rescored", score=71.0))
    before, after = state(first), state(second)
    assert (after.version, after.seen_version, after.lead.score) == (2, 2, 71.0)
    assert (after.owner, after.reasons, after.respond_by) == (before.owner, before.reasons, before.respond_by)
    assert at.standings["ana"].number == 1


def test_a_test_lead_is_handed_to_nobody() -> None:
    at = world()
    assert decide(qualified(is_test=True), at, context()) == Drop("test")
    assert at.changes() == ([], [])


def test_a_lead_that_nobody_can_take_is_parked_and_assigned_once_somebody_can() -> None:
    at = world(absent=("ana", "beto", "cleo"))
    (parked,) = run(at, qualified())
    assert (parked.type, state(parked).owner, state(parked).reasons[0].code) == ("lead.parked", None, "all_absent")
    later = context(NOW + timedelta(minutes=5), NOW + timedelta(minutes=4))
    assert retried(at, at.leads[uid(1)], later) == ()
    assert at.leads[uid(1)].version == 1
    at.absent = frozenset()
    later = context(NOW + timedelta(minutes=8), NOW + timedelta(minutes=7))
    (assigned,) = retried(at, at.leads[uid(1)], later)
    data = state(assigned)
    assert (assigned.type, data.version, data.attempt) == ("lead.assigned", 2, 1)
    assert data.due_at is not None
    assert data.applied_until is not None
    assert data.due_at <= data.applied_until <= data.recorded_at


def test_news_of_a_parked_lead_tries_again_and_tells_the_new_state_either_way() -> None:
    at = world(full=("ana", "beto", "cleo"))
    still = run(at, qualified(), qualified(version=2, kind="lead.rescored", score=80.0))[1]
    assert (still.type, state(still).state, state(still).lead.score) == ("lead.updated", "parked", 80.0)
    at.standings["cleo"] = Standing("cleo", 99)
    assert kinds(run(at, qualified(version=3, kind="lead.rescored"))) == ["lead.assigned"]


def test_unanswered_leads_go_to_others_twice_and_are_then_parked_with_an_alert() -> None:
    at = world()
    owners = [state(run(at, qualified())[0]).owner]
    for attempt in (2, 3):
        (moved,) = due(at, after=timedelta(hours=5 * attempt))
        data = state(moved)
        assert (moved.type, data.attempt, data.reasons[0].code) == ("lead.reassigned", attempt, "unanswered")
        assert data.previous_owner == owners[-1].rep_id  # type: ignore[union-attr]  # each of these has an owner
        owners.append(data.owner)
    parked, alert = due(at, after=timedelta(hours=20))
    assert len({owner.rep_id for owner in owners if owner}) == 3
    assert (parked.type, state(parked).reasons[0].code, state(parked).owner) == ("lead.parked", "unanswered", None)
    assert (alert.type, alert.key) == ("alert.raised", f"unanswered:{uid(1)}")
    assert [at.standings[r].open_leads for r in ALL] == [0, 0, 0, 0]
    assert due(at, after=timedelta(hours=40)) == []


def test_an_unanswered_lead_of_which_nobody_else_can_take_care_is_parked_at_once() -> None:
    at = world(absent=("beto", "cleo"))
    run(at, qualified())
    parked, alert = due(at)
    assert [r.code for r in state(parked).reasons[:2]] == ["unanswered", "nobody_free"]
    assert alert.type == "alert.raised"
    at.absent = frozenset()
    (again,) = retried(at, at.leads[uid(1)], context(NOW + timedelta(hours=6), NOW + timedelta(hours=6)))
    assert (again.type, state(again).previous_owner, state(again).attempt) == ("lead.reassigned", "ana", 2)


def test_a_deadlines_event_carries_when_it_was_due_and_has_the_same_id_whenever_it_fires() -> None:
    ids = set()
    for hours in (1, 9):
        run(at := world(), qualified())
        (moved,) = due(at, after=timedelta(hours=hours))
        assert state(moved).due_at == NOW + timedelta(minutes=15)
        assert state(moved).applied_until == NOW + timedelta(hours=hours)
        ids.add(moved.id)
    assert len(ids) == 1


@pytest.mark.parametrize("kind", ["lead.accepted", "lead.stage_changed", "visit.planned", "order.placed"])
def test_any_answer_of_the_holder_ends_the_deadline_and_is_told(kind: str) -> None:
    at = world()
    run(at, qualified())
    (told,) = run(at, report(1, kind, stage="offer"))
    assert (told.topic, told.type, told.key) == (LEADS_OUTCOMES, kind, uid(1))
    assert due(at) == []
    (news,) = run(at, qualified(version=2, kind="lead.rescored"))
    assert state(news).respond_by is None
    assert state(news).stage == ("offer" if kind == "lead.stage_changed" else None)


def test_an_outcome_is_told_with_its_rep_and_never_later_than_it_arrived() -> None:
    at = world()
    run(at, qualified())
    (told,) = run(at, report(1, "lead.accepted", occurred_at=NOW + timedelta(days=9)))
    assert isinstance(told.data, Outcome)
    assert (told.data.rep_id, told.data.destination) == ("ana", "crm")
    assert told.data.occurred_at == NOW + timedelta(minutes=1)
    assert told.data.correlation_id == uid("submission 1")


def test_two_crms_that_count_their_event_ids_alike_are_told_apart() -> None:
    at = world()
    run(at, qualified())
    one, other = (replace(report(1, "lead.accepted"), id="1", inbox_id=uid(name)) for name in ("one", "other"))
    assert len({event.id for event in run(at, one, other)}) == 2


@pytest.mark.parametrize(
    "event", [report(1, "lead.won", by="partner"), report(1, "lead.won", by=None), report(1, "lead.won", on="partner")]
)
def test_an_outcome_from_a_destination_that_never_had_the_lead_is_dropped_with_an_alert(event: Incoming) -> None:
    at = world()
    run(at, qualified())
    verdict = decide(event, at, context())
    assert isinstance(verdict, Drop)
    assert (verdict.reason, kinds(verdict.events)) == ("not_yours", ["alert.raised"])
    assert at.leads[uid(1)].state == "assigned"


def test_on_its_own_topic_the_topic_names_the_destination_whatever_the_report_says() -> None:
    at = world()
    run(at, qualified())
    assert kinds(run(at, report(1, "lead.accepted", by="partner", on="crm"))) == ["lead.accepted"]


def test_an_outcome_of_a_lead_not_known_yet_waits_for_it() -> None:
    assert decide(report(1, "lead.accepted"), world(), context()) == Wait(uid(1))
    assert decide(report(2, "lead.accepted"), world(), context()) == Wait(uid(2))


def test_an_id_that_cannot_be_ours_is_a_dead_letter() -> None:
    verdict = decide(report(1, "lead.won", lead_id="00Q-17"), world(), context())
    assert isinstance(verdict, Dead)
    assert verdict.reason == "bad_lead_id"
    assert known_form(uid(1).upper()) == uid(1)


@pytest.mark.parametrize(("kind", "status"), [("lead.won", "won"), ("lead.lost", "lost")])
def test_a_won_or_lost_lead_is_closed_once_and_frees_its_rep(kind: str, status: str) -> None:
    at = world()
    run(at, qualified())
    outcome, closed = run(at, report(1, kind))
    assert (outcome.type, closed.type) == (kind, "lead.closed")
    assert (state(closed).state, state(closed).stage, state(closed).lead.status) == ("closed", status, status)
    assert at.standings["ana"].open_leads == 0
    assert kinds(run(at, report(1, kind, key="again"))) == [kind]
    assert run(at, qualified(version=2, kind="lead.rescored", status=status)) == []
    assert run(at, qualified(version=3, kind="lead.attached")) == []
    assert at.standings["ana"].open_leads == 0
    assert due(at) == []


def test_a_sale_after_a_loss_counts_and_a_loss_after_a_sale_does_not() -> None:
    at = world()
    run(at, qualified(), report(1, "lead.lost"))
    outcome, closed = run(at, report(1, "lead.won"))
    assert (outcome.type, closed.type, state(closed).stage, state(closed).version) == (
        "lead.won",
        "lead.closed",
        "won",
        3,
    )
    assert kinds(run(at, report(1, "lead.lost", key="late"))) == ["lead.lost"]
    assert at.leads[uid(1)].stage == "won"


@pytest.mark.parametrize("first", ["lead.lost", "lead.won"])
def test_a_closing_says_how_many_submissions_the_owner_was_told_of_and_a_second_one_says_the_same(first: str) -> None:
    at = world()
    run(at, qualified(submissions=1), qualified(version=2, kind="lead.attached", submissions=2))
    told = run(at, report(1, "lead.accepted"), report(1, first))
    told += run(at, qualified(version=3, kind="lead.attached", submissions=3), report(1, "lead.won", key="again"))
    said = [e.data.seen_submissions for e in told if isinstance(e.data, Outcome)]
    assert said == [None, 2, 2]


@pytest.mark.parametrize(("read", "seen"), [(1, 1), (2, 2), (9, 2)])
def test_a_closing_says_no_more_than_the_crm_says_it_had_read(read: int, seen: int) -> None:
    at = world()
    run(at, qualified(submissions=1), qualified(version=2, kind="lead.attached", submissions=2))
    told = run(at, report(1, "lead.lost", seen_submissions=read))
    assert [e.data.seen_submissions for e in told if isinstance(e.data, Outcome)] == [seen]


@pytest.mark.parametrize("status", ["won", "lost"])
def test_a_lead_that_qualify_has_ended_is_closed(status: str) -> None:
    at = world()
    run(at, qualified())
    assert kinds(run(at, qualified(version=2, kind="lead.rescored", status=status))) == ["lead.closed"]
    assert at.standings["ana"].open_leads == 0


def test_a_lead_that_had_ended_before_it_was_seen_is_told_to_nobody() -> None:
    at = world()
    assert run(at, qualified(version=4, status="won"), qualified(version=3)) == []
    assert at.leads[uid(1)].version == 0


def test_a_returned_lead_goes_to_another_rep_with_the_reason_and_is_parked_after_the_last() -> None:
    at = world()
    run(at, qualified())
    outcome, moved = run(at, report(1, "lead.returned", reason="wrong city"))
    assert (outcome.type, moved.type, state(moved).previous_owner) == ("lead.returned", "lead.reassigned", "ana")
    assert state(moved).reasons[0].text == "Ana Prueba gave it back: wrong city"
    (last,) = due(at, after=timedelta(hours=9))
    destination = state(last).owner.destination  # type: ignore[union-attr]  # a reassigned lead has one
    events = run(at, report(1, "lead.returned", by=destination, key="2"))
    assert kinds(events) == ["lead.returned", "lead.parked", "alert.raised"]
    assert [s.open_leads for s in at.standings.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize("status", ["won", "lost"])
def test_a_closing_says_why_it_is_one_and_not_why_the_lead_was_assigned(status: str) -> None:
    at = world()
    run(at, qualified())
    (_, closed) = run(at, report(1, f"lead.{status}"))
    assert [(r.code, r.text) for r in state(closed).reasons] == [(f"closed_{status}", f"Closed as {status}")]


def test_what_a_former_holder_had_read_says_nothing_of_the_present_one() -> None:
    at = world(absent=("beto",))
    run(at, qualified(submissions=1))
    due(at)
    run(at, qualified(version=2, kind="lead.attached", submissions=2))
    (won, _) = run(at, report(1, "lead.won", seen_submissions=1))
    assert (won.data.by_holder, won.data.seen_submissions) == (False, 2)


def test_a_former_holder_is_heard_but_changes_nothing_but_by_a_sale() -> None:
    """Cleo's destination has the lead after Ana and Beto; their CRM still reports."""
    at = world(absent=("beto",))
    run(at, qualified())
    (moved,) = due(at)
    assert state(moved).owner.destination == "partner"  # type: ignore[union-attr]  # a reassigned lead has one
    for kind in ("lead.accepted", "lead.lost", "lead.returned"):
        assert kinds(run(at, report(1, kind))) == [kind]
    assert at.leads[uid(1)].respond_by is not None
    assert kinds(run(at, report(1, "lead.won"))) == ["lead.won", "lead.closed"]
    assert at.standings["cleo"].open_leads == 0


def test_within_one_destination_a_former_reps_late_answer_does_not_speak_for_the_new_one() -> None:
    at = world(absent=("cleo",))
    run(at, qualified())
    due(at)
    run(at, report(1, "lead.accepted", rep_id="ana"))
    assert at.leads[uid(1)].respond_by is not None
    run(at, report(1, "lead.accepted", rep_id="colleague", key="2"))
    assert at.leads[uid(1)].respond_by is None


def test_versions_count_without_gap_and_the_document_is_the_last_one_told() -> None:
    at = world()
    events = run(at, qualified(), qualified(version=2), qualified(version=3), report(1, "lead.won"))
    versions = [e.version for e in events if e.topic == LEADS_ASSIGNED]
    assert versions == [1, 2, 3, 4]
    assert at.leads[uid(1)].document == events[-1].value


def test_a_decision_cites_the_book_that_made_it() -> None:
    other = book(BODY.replace("weight: 2", "weight: 3"))
    (told,) = run(world(), qualified(), rules=context(rules=other))
    assert state(told).rules_version == other.version != book().version
