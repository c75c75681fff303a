"""Caps: which stretch of time they count in, and who finds room; only leads of sources that have caps are counted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.intake.caps.windows import Window, places, window
from services.intake.sources.source import Cap, Source
from services.runtime.metrics import REGISTRY
from tests.unit.test_intake_deliver import KEY, KEYS, Desk

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cap", "now", "key", "ends"),
    [(Cap(most=1, per="total"), NOW, "total", None),
     (Cap(most=1, per="hour"), NOW, "hour 2026-03-01T12:00:00+00:00", at("2026-03-01T13:00:00+00:00")),
     (Cap(most=1, per="hour", zone="Asia/Kolkata"), NOW, "hour 2026-03-01T18:00:00+05:30",
      at("2026-03-01T19:00:00+05:30")),
     (Cap(most=1, per="day"), NOW, "day 2026-03-01 UTC", at("2026-03-02T00:00:00+00:00")),
     (Cap(most=1, per="day", zone="Pacific/Auckland"), NOW, "day 2026-03-02 Pacific/Auckland",
      at("2026-03-03T00:00:00+13:00")),
     (Cap(most=1, per="day", zone="Europe/Madrid"), at("2026-03-29T12:00:00+00:00"), "day 2026-03-29 Europe/Madrid",
      at("2026-03-30T00:00:00+02:00")),
     (Cap(most=1, per="day", zone="America/Havana"), at("2026-03-07T12:00:00+00:00"), "day 2026-03-07 America/Havana",
      at("2026-03-08T01:00:00-04:00"))],
)  # fmt: skip
def test_a_window_begins_and_ends_by_the_clock_of_its_zone(
    cap: Cap, now: datetime, key: str, ends: datetime | None
) -> None:
    found = window(cap, now)
    assert (found.key, found.ends) == (key, ends)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    cap = Cap(most=1, per="hour", zone="Europe/Madrid")
    first, second = (window(cap, at(f"2026-10-25T0{hour}:30:00+00:00")) for hour in (0, 1))
    assert first.key != second.key
    assert first.ends is not None
    assert first.ends.isoformat() == "2026-10-25T02:00:00+01:00"


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)), st.sampled_from(["hour", "day"]),
       st.sampled_from(["UTC", "Europe/Madrid", "America/Havana", "Australia/Lord_Howe", "Asia/Gaza"]))  # fmt: skip
@example(datetime(2026, 4, 4, 14, 30), "hour", "Australia/Lord_Howe")
def test_a_window_lasts_until_the_moment_it_names(moment: datetime, per: Any, zone: str) -> None:
    now, cap = moment.replace(tzinfo=UTC), Cap(most=1, per=per, zone=zone)
    found = window(cap, now)
    assert found.ends is not None
    assert now < found.ends <= now + timedelta(hours=25)
    assert window(cap, found.ends).key != found.key


HOUR, DAY = Window("h", 2, "hour", NOW), Window("d", 3, "day", NOW + timedelta(hours=9))


@pytest.mark.parametrize(
    ("used", "counted", "ids", "taken", "refused"),
    [({}, set(), "abc", "ab", {"c": HOUR}), ({"h": 1}, set(), "ab", "a", {"b": HOUR}),
     ({"h": 2}, {"a"}, "ab", "", {"b": HOUR}), ({"d": 2}, set(), "aab", "a", {"b": DAY}),
     ({"h": 2, "d": 3}, set(), "a", "", {"a": DAY}), ({"h": 9, "d": 9}, {"a", "b"}, "ab", "", {})],
)  # fmt: skip
def test_a_lead_takes_a_place_in_every_window_or_in_none_and_a_repeat_none(
    used: Mapping[str, int], counted: set[str], ids: str, taken: str, refused: Mapping[str, Window]
) -> None:
    assert places((HOUR, DAY), used, counted, list(ids)) == (list(taken), refused)


class Counted:
    """Counts nothing; keeps what it was asked, and says full to the second of each call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, source: Source, ids: Sequence[str], _now: datetime) -> Mapping[str, Window]:
        self.asked.append((source.name, len(ids)))
        return dict.fromkeys(ids[1:2], HOUR)


def desk(**entry: Any) -> tuple[Desk, Counted]:
    count = Counted()
    return Desk({"zap": {"keys": KEYS, **entry}}, count=count), count


def capped(source: str, per: str) -> float:
    return REGISTRY.get_sample_value("caudal_intake_capped_total", {"source": source, "per": per}) or 0.0


CAPS = [{"most": 2, "per": "hour"}]


def test_the_lead_that_finds_its_cap_full_is_told_when_it_opens_and_is_not_on_the_log() -> None:
    at_desk, count = desk(caps=CAPS)
    rows = [{"email": f"{name}@example.com"} for name in "abc"]
    before = capped("zap", "hour")
    for path, headers in ((f"/in/zap/{KEY}", {}), ("/v1/leads", {"x_api_key": KEY})):
        answer = at_desk.post(path, rows, **headers)
        assert answer.status_code == 200
        assert [r.get("error", {}).get("code") for r in answer.json()["results"]] == [None, "cap_reached", None]
        assert "2 leads a hour" in answer.json()["results"][1]["error"]["message"]
        assert NOW.isoformat() in answer.json()["results"][1]["error"]["message"]
    assert [lead.contact.email for lead in at_desk.leads()] == ["a@example.com", "c@example.com"] * 2
    assert count.asked == [("zap", 3)] * 2
    assert capped("zap", "hour") == before + 2


def test_only_leads_that_are_taken_and_no_test_leads_are_counted() -> None:
    at_desk, count = desk(caps=CAPS, required=["email"], test_field="test")
    rows: list[Any] = [{"email": "a@example.com"}, {"name": "x"}, 7, {"email": "b@example.com", "test": True}]
    assert at_desk.post(f"/in/zap/{KEY}", rows).json()["accepted"] == 2
    assert at_desk.post(f"/in/zap/{KEY}", [{"name": "x"}]).json()["rejected"] == 1
    activity = {"activity": "page.viewed", "email": "a@example.com"}
    assert at_desk.post("/v1/activities", activity, x_api_key=KEY).status_code == 200
    assert count.asked == [("zap", 1)]


def test_a_source_without_caps_counts_nothing() -> None:
    at_desk, count = desk()
    assert at_desk.post(f"/in/zap/{KEY}", {"email": "a@example.com"}).status_code == 200
    assert count.asked == []


def test_where_nothing_can_count_a_source_with_caps_is_told_to_come_later() -> None:
    at_desk = Desk({"zap": {"keys": KEYS, "caps": CAPS}})
    answer = at_desk.post(f"/in/zap/{KEY}", {"email": "a@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert at_desk.messages == []


@pytest.mark.parametrize("entry", [{"caps": [Cap(most=1, per="day")]}, {"rate": {"per_s": 1}}])
def test_a_topic_cannot_be_told_to_come_later(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="a topic cannot"):
        Source(name="a", kind="kafka", **entry)
