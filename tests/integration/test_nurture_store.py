import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest

from schemas.events.people import ConsentChanged
from schemas.events.touches import Enrolment, Touch
from services.nurture import store
from services.nurture.service import decide_event
from services.nurture.steps import NotTried, Postponed, Refused, Send, Sent, Skip
from services.runtime.postgres import connect, transaction
from services.runtime.verdict import Context, Outgoing, Wait
from tests.nurture_cases import (
    BOOK,
    EMAIL,
    NOW,
    Nurture,
    consent,
    hashed,
    later,
    lead,
    lead_id,
    outcome,
    plain_sequences,
    rule_book,
)

DUE = later(5)
OK = Sent("250")


@pytest.fixture
def nurture(database: str) -> Iterator[Nurture]:
    made = Nurture(database)
    yield made
    made.close()


def types(events: list[Outgoing]) -> list[str]:
    return [event.type for event in events]


def touch(event: Outgoing) -> Touch:
    assert isinstance(event.data, Touch)
    return event.data


def why(event: Outgoing) -> str | None:
    assert isinstance(event.data, Touch | Enrolment | ConsentChanged)
    return event.data.reason


def finish(nurture: Nurture, result: object, now: object = DUE) -> list[Outgoing]:
    """Claim what is due at `now` and record this result for it."""
    return [e for job in nurture.claim(now) for e in nurture.record(job, result, now)]  # type: ignore[arg-type]  # a moment


def test_a_lead_and_its_consent_in_any_order_are_enrolled_once(nurture: Nurture) -> None:
    assert types(nurture.feed(lead(1))) == []
    assert types(nurture.feed(consent())) == ["consent.changed", "enrolment.started"]
    assert types(nurture.feed(lead(2))) == ["enrolment.started"]
    assert types(nurture.feed(lead(1, 2), lead(2, 2), consent())) == []


def test_one_batch_folds_each_decision_into_the_next(nurture: Nurture) -> None:
    events = nurture.feed(
        lead(1), consent(), outcome("lead.won", 1), lead(2), consent("consent.withdrawn", at=later(1))
    )
    assert types(events) == [
        "consent.changed", "enrolment.started", "enrolment.ended",
        "enrolment.started", "consent.changed", "enrolment.ended",
    ]  # fmt: skip
    assert nurture.rows("SELECT DISTINCT state FROM step") == [("skipped",)]


def test_an_outcome_before_its_lead_waits_on_a_bare_row(nurture: Nurture) -> None:
    assert nurture.decide(outcome(n=7)) == [Wait(lead_id(7))]
    assert nurture.rows("SELECT lead_id, seen_version FROM lead") == [(lead_id(7), 0)]


def test_an_outcome_alone_knows_the_consent_of_its_lead(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    assert nurture.feed(outcome("lead.stage_changed")) == []
    assert nurture.rows("SELECT reason FROM enrolment") == [(None,)]


def test_a_lead_that_is_nobody_to_write_to_leaves_no_personal_data(nurture: Nurture) -> None:
    nurture.feed(lead(warmth="hot"))
    assert nurture.rows("SELECT document FROM lead") == [(None,)]


def test_nothing_is_due_before_its_time_or_before_all_inputs_are_applied(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    assert nurture.claim(later(4.9)) == []
    assert nurture.claim(later(60), applied=later(4.9)) == []
    with transaction(nurture.session) as cursor:
        assert nurture.post.claim(cursor, Context(later(60), {"nurture": BOOK}, None)) == []
    assert len(nurture.claim(later(60), applied=DUE)) == 1


def test_events_of_the_clock_say_when_they_were_due_and_what_was_applied(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    (job,) = nurture.claim(later(60), applied=later(30))
    (event,) = nurture.record(job, OK, later(61))
    data = touch(event)
    assert (data.due_at, data.applied_until, data.occurred_at) == (DUE, later(30), later(61))
    assert data.correlation_id == "submission 1"


def test_all_steps_are_sent_once_in_their_order_and_then_the_enrolment_ends(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    events = finish(nurture, OK, later(5)) + finish(nurture, OK, later(15)) + finish(nurture, OK, later(25))
    assert types(events) == ["touch.sent", "touch.sent", "touch.sent", "enrolment.ended"]
    assert [touch(e).step for e in events[:3]] == [1, 2, 3]
    assert why(events[3]) == "completed"
    assert nurture.claim(later(9999)) == []


def test_a_claimed_step_is_nobody_elses_until_the_lease_ends(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    assert len(nurture.claim(DUE)) == 1
    assert nurture.claim(later(64)) == []
    assert len(nurture.claim(later(66))) == 1


def test_a_step_whose_sender_died_goes_again_with_the_same_id_and_is_reported_as_uncertain(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    (dead,) = nurture.claim(DUE)
    (again,) = nurture.claim(later(66))
    assert nurture.record(dead, OK, later(66)) == [], "the first sender lost its claim"
    (event,) = nurture.record(again, OK, later(67))
    assert touch(event).uncertain
    assert touch(event).message_id == dead.due.step.message_id
    assert nurture.record(dead, OK, later(68)) == []


def test_a_late_answer_of_a_claim_that_nobody_took_over_counts(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    (job,) = nurture.claim(DUE)
    (event,) = nurture.record(job, OK, later(500))
    assert (event.type, touch(event).uncertain) == ("touch.sent", False)
    assert nurture.record(job, OK, later(501)) == []


@pytest.mark.parametrize("kind", ["consent.withdrawn", "suppression.added"])
def test_nothing_is_claimed_after_a_withdrawal(nurture: Nurture, kind: str) -> None:
    nurture.feed(consent(), lead(1), lead(2))
    nurture.feed(consent(kind, at=later(1)))
    assert nurture.claim(later(9999)) == []
    assert nurture.rows("SELECT count(*) FROM step WHERE act_at IS NOT NULL") == [(0,)]


def test_a_mail_on_its_way_when_consent_is_withdrawn_is_recorded_and_nothing_follows(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    (job,) = nurture.claim(DUE)
    assert types(nurture.feed(consent("consent.withdrawn", at=later(6)))) == ["consent.changed", "enrolment.ended"]
    assert types(nurture.record(job, OK, later(7))) == ["touch.sent"]
    assert nurture.claim(later(9999)) == []


def test_a_withdrawal_after_a_sender_died_ends_the_step_as_skipped_and_uncertain(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    nurture.claim(DUE)
    nurture.feed(consent("consent.withdrawn", at=later(6)))
    (job,) = nurture.claim(later(66))
    assert job.judgement == Skip("consent_withdrawn")
    (event,) = nurture.record(job, NotTried(), later(67))
    assert (event.type, touch(event).reason, touch(event).uncertain) == ("touch.skipped", "consent_withdrawn", True)
    assert nurture.claim(later(9999)) == []


def test_a_sequence_removed_from_the_book_skips_what_was_due(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    nurture.book = rule_book(sequences=[])
    events = nurture.work(DUE)
    assert types(events) == ["touch.skipped", "enrolment.ended"]
    assert {why(event) for event in events} == {"sequence_removed"}


def test_quiet_hours_make_a_mail_wait_and_nothing_else(nurture: Nurture) -> None:
    nurture.feed(consent(), lead(country="ES"))
    nurture.book = rule_book(quiet_hours={"from": "11:00", "to": "13:00", "default_zone": "Europe/Madrid"})
    assert nurture.work(DUE) == []  # 12:00 in Madrid
    assert nurture.rows("SELECT state, due_at = act_at FROM step") == [("due", True)]
    assert nurture.claim(later(3599)) == []
    assert len(nurture.claim(later(3600))) == 1


def test_the_cap_counts_all_leads_of_an_address_within_one_claim_and_over_several(nurture: Nurture) -> None:
    nurture.book = rule_book(cap={"touches": 2, "days": 1})
    nurture.feed(consent(), lead(1), lead(2), lead(3))
    assert len(nurture.claim(DUE)) == 2
    assert nurture.claim(later(60)) == []
    assert nurture.rows("SELECT count(*) FROM step WHERE state = 'due'") == [(1,)]
    assert len([j for j in nurture.claim(later(5 + 86400)) if isinstance(j.judgement, Send)]) >= 1


def test_two_workers_that_claim_at_once_keep_the_cap(nurture: Nurture) -> None:
    nurture.book = rule_book(cap={"touches": 1, "days": 1})
    nurture.feed(consent(), lead(1), lead(2))
    one_each = nurture.settings.model_copy(update={"mail_batch": 1})
    first, second = (Nurture(nurture.dsn, one_each, nurture.book) for _ in range(2))
    with transaction(first.session) as cursor:
        told = Context(DUE, {"nurture": nurture.book}, DUE)
        assert len(first.post.take(cursor, first.post.claim(cursor, told), told)) == 1
        assert second.claim(DUE) == []
    assert second.claim(DUE) == []
    first.close()
    second.close()


def test_a_repeat_of_a_claim_does_not_count_against_its_own_cap(nurture: Nurture) -> None:
    nurture.book = rule_book(cap={"touches": 1, "days": 1})
    nurture.feed(consent(), lead())
    nurture.claim(DUE)
    assert len(nurture.claim(later(66))) == 1


def test_not_now_is_tried_again_and_given_up_after_the_last_wait(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    busy = Postponed("450 4.2.1")
    assert finish(nurture, busy, later(5)) == []
    assert nurture.claim(later(34)) == []
    assert finish(nurture, busy, later(35)) == []
    (event,) = finish(nurture, busy, later(335))
    assert (event.type, why(event)) == ("touch.failed", "450 4.2.1")
    assert len(nurture.claim(later(345))) == 1, "the next step goes on"


def test_while_no_server_answers_nothing_is_given_up(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    at = 5.0
    for _ in range(8):
        assert finish(nurture, Postponed("ConnectionRefusedError", away=True), later(at)) == []
        at += 300
    (event,) = finish(nurture, OK, later(at))
    assert (event.type, touch(event).uncertain) == ("touch.sent", False)


def test_a_line_that_broke_after_the_mail_was_out_makes_the_repeat_uncertain(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    finish(nurture, Postponed("timeout", away=True, uncertain=True))
    (event,) = finish(nurture, OK, later(60))
    assert touch(event).uncertain


def test_what_was_not_tried_is_due_again_at_once(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    assert finish(nurture, NotTried()) == []
    (event,) = finish(nurture, OK)
    assert not touch(event).uncertain


def test_a_hard_bounce_suppresses_the_address_and_ends_all_its_enrolments(nurture: Nurture) -> None:
    nurture.feed(consent(), lead(1), lead(2), consent(email="other@example.com"), lead(3, email="other@example.com"))
    job = next(j for j in nurture.claim(DUE) if j.due.lead.lead_id == lead_id(1))
    events = nurture.record(job, Refused("550 5.1.1", hard=True), later(6))
    assert types(events) == ["touch.failed", "consent.changed", "enrolment.ended", "enrolment.ended"]
    changed = events[1].data
    assert isinstance(changed, ConsentChanged)
    assert (changed.state, changed.reason, changed.version) == ("suppressed", "hard_bounce", 2)
    assert (changed.due_at, changed.applied_until) == (DUE, DUE)
    assert types(nurture.feed(lead(4), consent(at=later(99)))) == []
    assert nurture.rows("SELECT count(*) FROM enrolment WHERE reason IS NULL") == [(1,)]


def test_a_refusal_that_says_nothing_of_the_address_goes_on_with_the_next_step(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    (event,) = finish(nurture, Refused("552 5.2.2"))
    assert (event.type, why(event)) == ("touch.failed", "552 5.2.2")
    assert len(nurture.claim(later(15))) == 1


def test_a_batch_that_ends_an_enrolment_passes_a_lead_to_another_worker_in_order(nurture: Nurture) -> None:
    """A withdrawal that waits for a claim's lock commits after it; one that comes first leaves nothing to claim."""
    nurture.feed(consent(), lead())
    with transaction(nurture.session) as cursor:
        told = Context(DUE, {"nurture": BOOK}, DUE)
        jobs = nurture.post.take(cursor, nurture.post.claim(cursor, told), told)
        other = Nurture(nurture.dsn)
        done = threading.Event()

        def withdraw() -> None:
            other.feed(consent("consent.withdrawn", at=later(6)))
            done.set()

        thread = threading.Thread(target=withdraw)
        thread.start()
        assert not done.wait(0.3), "the withdrawal waits for the lead"
    thread.join(5)
    other.close()
    assert done.is_set()
    assert len(jobs) == 1
    assert nurture.claim(later(20)) == []


@pytest.mark.parametrize("known", [False, True])
def test_a_new_lead_and_the_withdrawal_of_its_address_meet(nurture: Nurture, known: bool) -> None:
    """Two sessions at once, whether the address is known or not: whoever comes second sees what the first one did."""
    if known:
        nurture.feed(consent())
    free = rule_book(sequences=[{**s, "needs_consent": False} for s in plain_sequences()])
    nurture.book = free
    other = Nurture(nurture.dsn, book=free)
    with transaction(nurture.session) as cursor:
        event = lead()
        world = nurture.gather(cursor, [event], Context(NOW, {"nurture": free}))
        started = threading.Event()
        ended: list[Outgoing] = []

        def withdraw() -> None:
            started.set()
            ended.extend(other.feed(consent("consent.withdrawn", at=later(1))))

        thread = threading.Thread(target=withdraw)
        thread.start()
        started.wait(5)
        thread.join(0.3)
        assert thread.is_alive(), "it waits for the consent's row"
        decide_event(event, world, Context(NOW, {"nurture": free}))
        store.apply(cursor, world)
    thread.join(5)
    other.close()
    assert types(ended) == ["consent.changed", "enrolment.ended"]


def test_two_workers_never_claim_the_same_step(nurture: Nurture) -> None:
    for n in range(1, 41):
        email = f"lead{n}@example.com"
        nurture.feed(consent(email=email), lead(n, email=email))
    claimed: list[str] = []
    deadline = time.monotonic() + 20

    def claim_all() -> None:
        worker = Nurture(nurture.dsn, settings=nurture.settings.model_copy(update={"mail_batch": 3}))
        while len(claimed) < 40 and time.monotonic() < deadline:
            claimed.extend(job.due.step.enrolment_id for job in worker.claim(DUE))
        worker.close()

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(claimed) == len(set(claimed)) == 40


def test_the_table_refuses_a_second_active_enrolment_of_a_lead(nurture: Nurture) -> None:
    nurture.feed(consent(), lead())
    session = connect(nurture.dsn, "nurture", "test")
    with pytest.raises(psycopg2.errors.UniqueViolation), transaction(session) as cursor:
        cursor.execute(
            "INSERT INTO enrolment SELECT gen_random_uuid(), lead_id, person_id, 'other', correlation_id, started_at"
            " FROM enrolment"
        )
    session.close()


def test_the_topic_gets_what_the_table_knows_better_and_nothing_else(nurture: Nurture) -> None:
    (given_,) = nurture.feed(consent())
    (withdrawn,) = nurture.feed(consent("consent.withdrawn", at=later(1)))
    with transaction(nurture.session) as cursor:
        (ahead,) = store.published(cursor, {given_.key: 1, "nobody:email:marketing": 0})
        assert store.published(cursor, {given_.key: 2}) == []
    assert (ahead.key, ahead.version, ahead.id, ahead.value) == (withdrawn.key, 2, withdrawn.id, withdrawn.value)


def test_a_placeholder_is_never_published(nurture: Nurture) -> None:
    nurture.feed(lead())
    key = f"{hashed(EMAIL)}:email:marketing"
    assert nurture.rows("SELECT version FROM consent") == [(0,)]
    with transaction(nurture.session) as cursor:
        assert store.published(cursor, {key: 0}) == []
