"""The hydrate queue on a real database and a fake API: each lead told by id is read once, whatever happens."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.intake.hydrate import reading, store
from services.intake.hydrate.pace import Pace
from services.runtime.faults import Faults
from services.runtime.metrics import HYDRATE_BACKLOG, HYDRATE_OLDEST
from services.runtime.postgres import transaction
from tests.graph_server import Fake, fake_apis, graph_error, graph_lead, hubspot_contact, linkedin_lead, unreadable
from tests.hydrate_desk import Desk
from tests.rig import Crash, crash, quiet

__all__ = ["quiet"]
TEN = [str(n) for n in range(10)]
Open = Callable[..., Desk]


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_apis(leads={own: graph_lead(own, f"lead{own}@example.com") for own in TEN}) as running:
        yield running


@pytest.fixture
def at(database: str, fake: Fake, tmp_path: Path) -> Iterator[Open]:
    opened: list[Desk] = []

    def desk(pace: Pace | None = None, **sources: Any) -> Desk:
        opened.append(Desk(database, fake, tmp_path, pace, **sources))
        return opened[-1]

    yield desk
    for one in opened:
        one.close()


def test_each_lead_is_asked_for_once_and_goes_on_once(at: Open, fake: Fake) -> None:
    desk = at()
    assert desk.tell(*TEN) == []
    desk.tell(*TEN)
    for _ in range(3):
        desk.turn(60)
    assert sorted(desk.read()) == TEN
    assert set(desk.states().values()) == {"done"}
    assert set(fake.asked_for().values()) == {1}


def test_three_apis_are_read_each_in_its_own_way(at: Open, fake: Fake) -> None:
    fake.leads |= {"a-1": linkedin_lead("a-1", "luis@example.org"), "33": hubspot_contact("33", "m@example.com")}
    hydrate = {api: {"hydrate": {"api": api, "url": fake.url}} for api in ("meta", "linkedin", "hubspot")}
    desk = at(**hydrate)
    desk.tell("1")
    desk.tell("urn:li:leadGenFormResponse:a-1", source="linkedin")
    desk.tell("33", source="hubspot")
    desk.turn()
    leads = [json.loads(frame.value or "") for frame in desk.told()]
    assert {(lead["source"], lead["contact"]["email"]) for lead in leads} == {
        ("meta", "lead1@example.com"), ("linkedin", "luis@example.org"), ("hubspot", "m@example.com"),
    }  # fmt: skip


def test_a_lead_that_is_readable_on_the_third_try_is_read_then(at: Open, fake: Fake) -> None:
    fake.script["1"] = [unreadable(), unreadable()]
    desk = at()
    desk.tell("1", "2")
    desk.turn()
    assert (desk.read(), desk.states()["1"]) == (["2"], "retrying")
    for _ in range(2):
        desk.turn(20)
    assert desk.read() == ["2", "1"]
    assert fake.asked_for()["1"] == 3


def test_a_lead_that_is_never_readable_is_a_dead_letter_and_comes_in_again_when_asked(at: Open, fake: Fake) -> None:
    lead = fake.leads.pop("1")
    desk = at(Pace(patience={"not_found": timedelta(minutes=10)}))
    desk.tell("1")
    for _ in range(10):
        desk.turn(300)
    (letter,) = desk.told("deadletter.recorded")
    assert json.loads(letter.value or "")["reason"] == "hydrate_not_found"
    assert desk.states() == {"1": "dead"}
    fake.leads["1"] = lead
    with transaction(desk.session) as cursor:
        assert (store.retry(cursor, "meta"), store.retry(cursor, "meta")) == (1, 0)
    desk.turn(60)
    assert desk.read() == ["1"]


def test_a_429_slows_its_source_as_long_as_it_asks_and_no_other(at: Open, fake: Fake) -> None:
    with fake_apis(leads=dict(fake.leads)) as other:
        desk = at(
            meta={"hydrate": {"api": "meta", "url": fake.url}}, second={"hydrate": {"api": "meta", "url": other.url}}
        )
        fake.always = graph_error(80005, status=429, headers={"Retry-After": "600"})
        desk.tell(*TEN)
        desk.tell(*TEN, source="second")
        desk.turn()
        desk.turn(300)
        assert len(fake.asked) == 1
        assert len(desk.read()) == 10
        fake.always = None
        desk.turn(400)
    assert len(desk.read()) == 20
    assert set(desk.states().values()) == {"done"}


def test_an_hour_of_5xx_gives_nothing_up_and_asks_ever_less(at: Open, fake: Fake) -> None:
    fake.always = (503, {}, b"")
    desk = at()
    desk.tell(*TEN)
    for _ in range(120):
        desk.turn(30)
    assert len(fake.asked) < 40
    fake.always = None
    for _ in range(4):
        desk.turn(300)
    assert sorted(desk.read()) == TEN
    assert desk.told("deadletter.recorded") == []


def test_an_expired_token_parks_the_source_tells_it_once_and_reads_all_when_it_is_renewed(at: Open, fake: Fake) -> None:
    desk = at()
    fake.token = "renewed"
    desk.tell(*TEN)
    for _ in range(60):
        desk.turn(30)
    assert 25 <= len(fake.asked) <= 31
    assert len(desk.told("alert.raised")) == 1
    assert {s.state for s in overview(desk)} == {"parked"}
    assert desk.rows("SELECT DISTINCT tries FROM notice") == [(0,)]
    desk.give(meta="renewed")
    desk.clocks = desk.worker()  # its file is looked at once a second
    desk.turn()
    desk.turn()
    assert sorted(desk.read()) == TEN
    assert len(desk.told("alert.cleared")) == 1
    assert "renewed" not in str(desk.rows("SELECT * FROM hydrate_source"))


def test_an_app_that_asks_for_the_proof_of_its_secret_gets_it_and_without_it_the_source_waits(
    at: Open, fake: Fake
) -> None:
    fake.app_secret = "new"
    desk = at()
    desk.tell(*TEN)
    for known in ([], ["old"], ["new", "old"]):
        assert desk.read() == []
        desk.give(known, meta="good")
        desk.clocks = desk.worker()  # its file is looked at once a second
        desk.turn(61)
    desk.turn()
    assert sorted(desk.read()) == TEN
    assert "appsecret_proof" in (desk.told("alert.raised")[0].value or "")
    assert desk.told("deadletter.recorded") == []
    assert not any("old" in asked or "new" in asked or "good" in asked for asked in fake.asked)


def test_a_token_that_works_again_by_itself_is_found_out_within_a_minute(at: Open, fake: Fake) -> None:
    desk = at()
    fake.always = graph_error(10)
    desk.tell(*TEN)
    desk.turn()
    fake.always = None
    desk.turn(61)
    desk.turn()
    assert sorted(desk.read()) == TEN


def test_a_parked_source_is_probed_once_a_minute_whatever_else_it_answers(at: Open, fake: Fake) -> None:
    desk = at()
    fake.always = graph_error(190)
    desk.tell(*TEN)
    desk.turn()
    fake.always = graph_error(100)
    for _ in range(60):
        desk.turn(10)
    assert len(fake.asked) <= 11


@pytest.mark.parametrize("source", [{}, {"keys": []}])
def test_a_source_without_token_or_api_parks_and_loses_nothing(at: Open, fake: Fake, source: dict[str, Any]) -> None:
    hydrate = {"hydrate": {"api": "meta", "url": fake.url}} if source else {}
    desk = at(meta=hydrate)
    desk.give()
    desk.clocks = desk.worker()
    desk.tell("1")
    desk.turn()
    desk.turn(61)
    assert (desk.states(), len(desk.told("alert.raised")), fake.asked) == ({"1": "pending"}, 1, [])


@pytest.mark.parametrize("point", ["after_claim", "after_call"])
def test_a_worker_killed_between_claim_and_record_leaves_its_leads_to_another(at: Open, fake: Fake, point: str) -> None:
    desk = at()
    desk.tell(*TEN)
    with pytest.raises(Crash):
        desk.turn(clocks=desk.worker(Faults(point, 1, crash)))
    desk.turn(30)
    assert desk.read() == []
    desk.turn(31)
    assert sorted(desk.read()) == TEN


def test_an_answer_whose_claim_was_taken_over_changes_nothing(at: Open, fake: Fake) -> None:
    desk = at()
    desk.tell("1")
    late, job, context = desk.claimed()
    answer = late.call(job, context)
    desk.turn(61)
    assert desk.read() == ["1"]
    with transaction(desk.session) as cursor:
        assert late.record(cursor, job, answer, context) == ()


def test_what_another_worker_has_claimed_or_waits_for_its_time_is_left_alone(at: Open, fake: Fake) -> None:
    desk = at()
    fake.script["2"] = [unreadable()]
    desk.tell("1")
    desk.claimed()
    desk.tell("2")
    desk.turn()
    desk.tell("3")
    desk.turn()
    assert fake.asked_for() == {"2": 1, "3": 1}


def test_a_lead_deleted_while_it_is_asked_for_is_not_handed_on(at: Open, fake: Fake) -> None:
    desk = at()
    desk.tell("1")
    call, job, context = desk.claimed()
    answer = call.call(job, context)
    assert desk.tell("1", action="deleted") == []
    with transaction(desk.session) as cursor:
        assert call.record(cursor, job, answer, context) == ()
    assert desk.states() == {"1": "gone"}


def test_deleted_before_it_is_read_it_is_never_asked_for_after_it_is_asked_to_be_forgotten(
    at: Open, fake: Fake
) -> None:
    desk = at()
    desk.tell("1", action="deleted")
    desk.tell("1", "2")
    desk.turn()
    assert (desk.read(), fake.asked_for()["1"]) == (["2"], 0)
    assert desk.tell("2", action="deleted") == ["erasure.requested"]
    assert desk.states() == {"1": "gone", "2": "gone"}


def test_no_table_of_the_queue_holds_what_a_person_wrote(at: Open, fake: Fake) -> None:
    desk = at()
    desk.tell(*TEN)
    desk.turn()
    kept = str(desk.rows("SELECT * FROM notice")) + str(desk.rows("SELECT * FROM hydrate_source"))
    assert "example.com" not in kept
    assert "Ana" not in kept


def test_two_workers_share_a_sources_budget(at: Open, fake: Fake) -> None:
    desk = at(Pace(burst=timedelta(seconds=36)), meta={"hydrate": {"api": "meta", "url": fake.url, "per_hour": 300}})
    desk.tell(*TEN)
    other = desk.worker()
    for _ in range(2):
        desk.turn()
        desk.turn(clocks=other)
    assert len(fake.asked) == 3
    for _ in range(12):
        desk.turn(12)
        desk.turn(clocks=other)
    assert sorted(desk.read()) == TEN
    other.hang_up()


def test_a_slow_api_holds_up_the_others_for_one_answer(at: Open, fake: Fake) -> None:
    with fake_apis(leads=dict(fake.leads)) as other:
        desk = at(
            meta={"hydrate": {"api": "meta", "url": fake.url}}, second={"hydrate": {"api": "meta", "url": other.url}}
        )
        desk.settings = desk.settings.model_copy(update={"hydrate_timeout_s": 0.2})
        desk.clocks = desk.worker()
        fake.script = {own: [0.6] for own in TEN}
        desk.tell(*TEN)
        desk.tell(*TEN, source="second")
        desk.turn()
        assert len(fake.asked) == 1
        assert len(desk.read()) == 10


def test_a_defect_of_ours_puts_off_its_lead_alone(at: Open, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, read = at(), reading.apis.read

    def broken(get: Any, api: Any, token: str, notice_id: str, now: Any) -> Any:
        if notice_id == "3":
            raise KeyError("ours")
        return read(get, api, token, notice_id, now)

    monkeypatch.setattr(reading.apis, "read", broken)
    desk.tell(*TEN)
    desk.turn()
    assert sorted(desk.read()) == [own for own in TEN if own != "3"]
    monkeypatch.undo()
    desk.turn(601)
    assert sorted(desk.read()) == TEN


def test_the_backlog_and_the_age_of_its_oldest_are_measured(at: Open, fake: Fake) -> None:
    desk = at()
    fake.always = graph_error(190)
    desk.tell(*TEN)
    desk.turn(90)
    assert HYDRATE_BACKLOG.labels("meta")._value.get() == 10
    assert 89 < HYDRATE_OLDEST.labels("meta")._value.get() < 100
    fake.always = None
    desk.turn(61)
    desk.turn()
    desk.turn()
    assert (HYDRATE_BACKLOG.labels("meta")._value.get(), HYDRATE_OLDEST.labels("meta")._value.get()) == (0, 0)


def overview(desk: Desk) -> list[store.Share]:
    with transaction(desk.session) as cursor:
        return store.overview(cursor)
