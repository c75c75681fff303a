"""Caps of sources that tell ids only: held where a lead goes on, one place for each, whatever happens on the way."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import hydrating
from services.cli.__main__ import command_line
from services.cli.installation import Installation
from services.cli.ports import read_ports
from services.intake.hydrate import store
from services.intake.hydrate.pace import Pace
from services.runtime.faults import Faults
from services.runtime.postgres import transaction
from tests.graph_server import Fake
from tests.hydrate_desk import Desk
from tests.integration.test_hydrate_queue import TEN, Open, at, fake
from tests.rig import Crash, crash, quiet

__all__ = ["at", "fake", "quiet"]


def capped(fake: Fake, most: int, per: str = "total") -> dict[str, Any]:
    """The source with a cap."""
    return {"hydrate": {"api": "meta", "url": fake.url, "per_hour": 36_000}, "caps": [{"most": most, "per": per}]}


def places(desk: Desk) -> list[int]:
    """How many leads each window has counted."""
    return [used for (used,) in desk.rows("SELECT used FROM cap_window ORDER BY window_key")]


def test_as_many_go_on_as_there_is_room_and_the_others_are_shown_with_the_reason(
    at: Open, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    fake.leads["0"]["is_test"] = True
    desk = at(meta=capped(fake, 3))
    desk.tell(*TEN)
    desk.turn()
    assert desk.read() == ["0", "1", "2", "3"]
    letters = [json.loads(frame.value or "") for frame in desk.told("deadletter.recorded")]
    assert [letter["reason"] for letter in letters] == ["cap_reached"] * 6
    assert "may send 3 leads in all, and has; `caudal sources retry meta`" in letters[0]["detail"]
    here = Installation(tmp_path, "", desk.dsn, read_ports(tmp_path))
    monkeypatch.setattr(hydrating, "running", lambda: here)
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(command_line(["sources"]), ["sources", "hydrate"]).output
    columns = [column.strip() for column in shown.splitlines()[-2].split("│")]
    assert columns[1:-1] == ["meta", "0", "0", "0", "6", "0", "4", "", "6 dead: cap_reached"]


def test_what_was_over_a_cap_comes_in_when_it_is_asked_for_again_on_the_next_day(at: Open, fake: Fake) -> None:
    desk = at(meta=capped(fake, 6, "day"))
    desk.now = (desk.now + timedelta(days=1)).replace(hour=12)
    desk.tell(*TEN)
    desk.turn()
    for after_s in (60, 86_400):
        with transaction(desk.session) as cursor:
            assert store.retry(cursor, "meta") == 4
        desk.turn(after_s)
    assert sorted(desk.read()) == TEN
    assert len({frame.id for frame in desk.told("deadletter.recorded")}) == 8
    assert places(desk) == [6, 4]


@pytest.mark.parametrize(("point", "times"), [("after_claim", 1), ("after_call", 3)])
def test_a_lead_that_is_read_again_after_a_kill_takes_no_second_place(
    at: Open, fake: Fake, point: str, times: int
) -> None:
    desk = at(meta=capped(fake, 10))
    desk.tell(*TEN[:5])
    with pytest.raises(Crash):
        desk.turn(clocks=desk.worker(Faults(point, times, crash)))
    desk.tell(*TEN)
    desk.turn(61)
    assert sorted(desk.read()) == TEN
    assert places(desk) == [10]


def test_one_answer_that_is_recorded_twice_takes_one_place_or_none(at: Open, fake: Fake) -> None:
    desk = at(meta=capped(fake, 1))
    desk.tell("1")
    call, job, context = desk.claimed()
    answer = call.call(job, context)
    with suppress(Crash), transaction(desk.session) as cursor:
        assert [event.type for event in call.record(cursor, job, answer, context)] == ["lead.received"]
        raise Crash  # before the commit
    assert (places(desk), desk.states()) == ([], {"1": "pending"})
    desk.turn(61)
    with transaction(desk.session) as cursor:
        assert call.record(cursor, job, answer, context) == ()
    assert (desk.read(), places(desk)) == (["1"], [1])


def test_two_workers_never_take_one_place_too_many(at: Open, fake: Fake) -> None:
    desk = at(Pace(batch=2), meta=capped(fake, 5))
    desk.tell(*TEN)
    other = desk.worker()
    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda clocks: desk.turn(0.1, clocks), (desk.clocks, other)))
    other.hang_up()
    assert (len(desk.read()), places(desk)) == (5, [5])
    assert sorted(desk.states().values()) == ["dead"] * 5 + ["done"] * 5
