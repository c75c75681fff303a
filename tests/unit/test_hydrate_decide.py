"""Hydrate decides: what a notice does to the queue, and what an answer does to a lead and its source."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from schemas.events.leads import LeadNotified
from schemas.events.operations import DeadLetter
from schemas.identity import address_hash
from schemas.topics import LEADS_NOTIFIED, LEADS_RECEIVED
from services.intake.arrival import Accepted, Arrival
from services.intake.hydrate.answer import Answer, Denied, Down, Failed, Found, Gone, Limited, NotFound, NotTried
from services.intake.hydrate.decide import Conclusion, conclude, on_notice, read_answer
from services.intake.hydrate.pace import Pace, budget, spent, wait
from services.intake.hydrate.queue import Notice, Origin, Queue
from services.intake.notices import read_notice, submission_id
from services.intake.sources.source import Hydrate, Source
from services.intake.submission import lead_of
from services.runtime.verdict import Context, Drop, Emit, Incoming, Outgoing, Verdict

SECRET = "a secret of the tests, 32 letters"
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
META = Source(name="meta", region="ES", id_field="form_id", hydrate=Hydrate(api="meta"))
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
WELL = Origin("meta", LONG_AGO, LONG_AGO)
ANA = Found({"email": "Ana@Example.com", "phone": "600000012", "form_id": "1616"}, '{"id": "7"}')
PACE = Pace()


def notice(action: str = "created", own: str = "7") -> Incoming:
    content = {"notice_id": own, "action": action, "form_id": "1616"}
    result = read_notice(Arrival(META, content, "", None, NOW, NOW, SECRET))
    assert isinstance(result, Accepted)
    (event,) = result.events
    data = LeadNotified.model_validate_json(event.value or "")
    body = (event.value or "").encode()
    place = (LEADS_NOTIFIED.name, 2, 41)
    return Incoming(event.id, event.type, "caudal/intake", event.key, data, *place, NOW, event.id, NOW.date(), body)


def told(queue: Queue, *events: Incoming) -> list[Verdict]:
    return [on_notice(event, queue, Context(NOW)) for event in events]


def fresh() -> Queue:
    return Queue({("meta", "7"): Notice("meta", "7")})


def pending() -> Notice:
    queue = fresh()
    assert told(queue, notice()) == [Emit()]
    return queue.rows["meta", "7"]


def answered(
    answer: Answer, row: Notice | None = None, state: Origin = WELL, now: datetime = NOW, source: Source = META
) -> Conclusion:
    row = row or pending()
    said = read_answer(source, row.notice_id, answer, now, SECRET) if isinstance(answer, Found) else answer
    return conclude(row, state, said, PACE, now, SECRET, "t")


def types(events: tuple[Outgoing, ...]) -> list[str]:
    return [event.type for event in events]


def test_a_lead_that_is_told_of_waits_to_be_read_with_its_notice() -> None:
    row = pending()
    assert (row.state, row.act_at, row.submission_id) == ("pending", NOW, submission_id("meta", "7"))
    assert json.loads(row.value or "")["details"] == {"form_id": "1616"}
    queue = Queue({row.key: replace(row, state="done", act_at=None)})
    assert told(queue, notice()) == [Drop("known")]
    assert not queue.changed


def test_a_lead_goes_on_under_the_id_of_its_notice_and_leaves_hashes_only() -> None:
    concluded = answered(ANA)
    (event,) = concluded.events
    lead = lead_of(event)
    assert (event.topic, event.id) == (LEADS_RECEIVED, submission_id("meta", "7"))
    assert (lead.source_key, lead.contact.email) == ("7", "ana@example.com")
    expected = [address_hash(SECRET, "email", "ana@example.com"), address_hash(SECRET, "phone", "+34600000012")]
    assert concluded.row.addresses.split() == expected
    assert (concluded.row.state, concluded.row.act_at, concluded.row.value) == ("done", None, None)
    assert "example" not in str(concluded.row)


def test_deleted_before_between_or_after_has_the_same_end() -> None:
    for order in permutations(("created", "deleted", "read")):
        queue = fresh()
        for what in order:
            row = queue.rows["meta", "7"]
            if what == "read" and row.act_at:
                queue.put(answered(ANA, row).row)
            elif what != "read":
                told(queue, notice(what))
        row = queue.rows["meta", "7"]
        assert (row.state, row.act_at, row.value, row.addresses) == ("gone", None, None, ""), order


def test_what_was_read_before_its_deletion_is_asked_to_be_forgotten_by_its_hashes() -> None:
    queue = Queue({("meta", "7"): answered(ANA).row})
    first, again = told(queue, notice("deleted"), notice("deleted"))
    assert isinstance(first, Emit)
    assert again == Emit()
    assert [event.key for event in first.events] == [
        address_hash(SECRET, "email", "ana@example.com"),
        address_hash(SECRET, "phone", "+34600000012"),
    ]
    assert {event.type for event in first.events} == {"erasure.requested"}
    assert len({event.id for event in first.events}) == 2


def test_a_lead_without_an_address_is_forgotten_by_the_hash_of_its_submission() -> None:
    concluded = answered(Found({"message": "Hola"}, "{}"))
    (event,) = concluded.events
    assert concluded.row.addresses == event.key


def test_a_lead_that_is_none_is_a_dead_letter_with_its_notice_inside() -> None:
    source = META.model_copy(update={"required": ("email",)})
    concluded = answered(Found({"city": "Elx"}, "{}"), source=source)
    (event,) = concluded.events
    letter = DeadLetter.model_validate_json(event.value or "")
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == ("required", LEADS_NOTIFIED.name, 2, 41)
    assert LeadNotified.model_validate_json(base64.b64decode(letter.raw_value or "")).notice_id == "7"
    assert "caudal sources retry meta" in letter.detail
    again = answered(NotFound("x"), replace(concluded.row, state="pending", act_at=NOW, failing_since=LONG_AGO))
    assert {event.id} != {e.id for e in again.events}


@pytest.mark.parametrize(
    ("answer", "patience", "reason"),
    [(NotFound("x"), timedelta(minutes=30), "hydrate_not_found"), (Failed("x"), timedelta(hours=1), "hydrate_failed"),
     (Down("x"), timedelta(days=3), "hydrate_failed")],
)  # fmt: skip
def test_what_fails_is_tried_again_and_again_and_then_given_up(
    answer: Answer, patience: timedelta, reason: str
) -> None:
    row, now, state, tries = pending(), NOW, WELL, 0
    while row.state != "dead":
        concluded = answered(answer, row, state, now)
        row, state, tries = concluded.row, concluded.state, tries + 1
        now = row.act_at or now
    assert patience <= now - NOW < patience + 2 * PACE.longest_wait
    assert tries > 10
    assert types(concluded.events) == ["deadletter.recorded"]
    assert row.problem == reason


def test_a_lead_that_is_not_readable_yet_is_tried_for_ten_minutes_at_least() -> None:
    assert PACE.patience["not_found"] >= timedelta(minutes=10)


def test_a_rate_limit_slows_the_whole_source_and_burns_no_try() -> None:
    concluded = answered(Limited(90.0, "HTTP 429"))
    assert concluded.state.not_before == concluded.row.act_at == NOW + timedelta(seconds=90)
    assert (concluded.row.tries, concluded.row.state) == (0, "pending")
    longer = answered(Limited(None, "HTTP 429"), state=replace(concluded.state, failures=4))
    assert longer.state.not_before >= concluded.state.not_before


def test_an_api_that_is_down_is_asked_less_and_less_until_it_answers() -> None:
    state, waits = WELL, []
    for _ in range(6):
        state = answered(Down("x"), state=state).state
        waits.append(state.not_before)
    assert waits == sorted(set(waits))
    assert answered(ANA, state=state).state.failures == 0


def test_a_refused_token_parks_the_source_and_is_told_once_until_it_works_again() -> None:
    first = answered(Denied("Graph error 190"))
    second = answered(Denied("Graph error 190"), first.row, first.state)
    assert types(first.events) == ["alert.raised"]
    assert types(second.events) == []
    assert (second.row.tries, second.row.state) == (0, "pending")
    assert second.state.probe_at == NOW + PACE.probe_every
    third = answered(ANA, second.row, second.state)
    assert types(third.events) == ["alert.cleared", "lead.received"]
    assert third.state == replace(WELL, parks=1)
    assert third.events[0].key == first.events[0].key
    fourth = answered(Denied("Graph error 190"), None, third.state)
    assert fourth.events[0].id != first.events[0].id


@pytest.mark.parametrize("answer", [Down("x"), Limited(1.0, "x"), Failed("x"), NotTried()])
def test_only_an_answer_about_a_lead_proves_that_a_token_works(answer: Answer) -> None:
    parked = answered(Denied("Graph error 190")).state
    assert answered(answer, state=parked).state.parked_at == NOW
    assert answered(Gone(), state=parked).state.parked_at is None


def test_a_refusal_that_meets_one_lead_only_is_its_own_and_does_not_park_the_source_again() -> None:
    refused = answered(Denied("Graph error 200"))
    others_work = answered(ANA, pending(), refused.state).state
    again = answered(Denied("Graph error 200"), refused.row, others_work)
    assert (again.state.parked_at, again.row.state, again.events) == (None, "retrying", ())
    given_up = answered(Denied("x"), again.row, others_work, NOW + timedelta(days=2))
    assert given_up.row.state == "dead"


def test_what_was_not_tried_is_due_at_once_as_it_was() -> None:
    row = replace(pending(), act_at=NOW + timedelta(hours=1), claims=3)
    assert answered(NotTried(), row).row == replace(row, act_at=NOW)


def test_waits_double_up_to_a_limit_and_differ_between_leads() -> None:
    waits = [wait(PACE, "7", tries) for tries in range(1, 60)]
    assert all(PACE.first_wait / 2 <= w <= PACE.longest_wait for w in waits)
    assert waits[1] < waits[3] < waits[5]
    assert wait(PACE, "7", 4) != wait(PACE, "8", 4)


def test_a_source_is_asked_no_more_often_than_its_budget_allows() -> None:
    per_hour, now, paced, asked = 1200, NOW, LONG_AGO, 0
    for _ in range(3600):
        room = budget(PACE, paced, per_hour, now)
        assert room <= PACE.batch
        paced, asked, now = spent(PACE, paced, per_hour, now, room), asked + room, now + timedelta(seconds=1)
    assert per_hour <= asked <= per_hour * (1 + PACE.burst / timedelta(hours=1))


def test_a_sources_map_counts_for_its_leads_too() -> None:
    source = META.model_copy(update={"fields": {"disclaimer.news": "consent"}, "constants": {"product": "heat pump"}})
    concluded = answered(Found({"email": "ana@example.com", "disclaimer.news": "1"}, "{}"), source=source)
    assert types(concluded.events) == ["lead.received", "consent.given"]
    assert lead_of(concluded.events[0]).product == "heat pump"
