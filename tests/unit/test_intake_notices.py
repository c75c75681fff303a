"""Notices: a lead's id at its source becomes one event, however often and however it is told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.events.leads import LeadNotified
from schemas.topics import LEADS_NOTIFIED
from services.intake.arrival import Accepted, Arrival, Refused, arrival_id
from services.intake.notices import read_notice, submission_id
from services.intake.parse import item_text
from services.intake.sources.source import Source
from services.runtime.verdict import Outgoing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
META = Source(name="meta-spain")


def arrival(content: dict[str, Any], now: datetime = NOW, key: str | None = None) -> Arrival:
    return Arrival(META, content, item_text(content), key, now, now, "a secret of the tests, 32 letters")


def only(result: Accepted | Refused) -> Outgoing:
    assert isinstance(result, Accepted), result
    (event,) = result.events
    assert (event.id, event.topic) == (result.id, LEADS_NOTIFIED)
    return event


def test_a_notice_is_one_event_with_its_details_as_texts() -> None:
    event = only(read_notice(arrival({"notice_id": 2**60 + 1, "form_id": 1616, "ad": None, "odd": ["x"]})))
    data = event.data
    assert isinstance(data, LeadNotified)
    assert (data.source, data.notice_id, data.action) == ("meta-spain", str(2**60 + 1), "created")
    assert data.details == {"form_id": "1616"}
    assert event.key == f"meta-spain|{2**60 + 1}"
    assert LeadNotified.model_validate_json(event.value or "") == data


def test_a_redelivery_on_another_day_with_the_id_as_text_is_the_same_event() -> None:
    later = datetime(2026, 3, 5, tzinfo=UTC)
    first, again = ({"notice_id": 1459}, NOW), ({"notice_id": "1459"}, later)
    assert len({only(read_notice(arrival(*told))).id for told in (first, again)}) == 1


def test_a_deletion_is_another_event_about_the_same_submission() -> None:
    created, deleted = (only(read_notice(arrival({"notice_id": 7, "action": a}))) for a in ("created", "deleted"))
    assert created.id != deleted.id
    assert created.data.correlation_id == deleted.data.correlation_id


def test_the_submission_has_the_id_that_the_lead_itself_gets_with_this_key() -> None:
    assert submission_id("meta-spain", "1459") == arrival_id(arrival({}, key="1459"), "submission")


def test_when_it_happened_is_taken_from_the_notice() -> None:
    data = only(read_notice(arrival({"notice_id": 7, "occurred_at": 1758794728}))).data
    assert data.occurred_at == datetime(2025, 9, 25, 10, 5, 28, tzinfo=UTC)
    assert data.details == {}


@pytest.mark.parametrize("notice_id", ["urn:li:leadGenFormResponse:5a1b-7", "urn:li:x:(urn:li:y:3162,1)", "1459", 1])
def test_ids_as_the_platforms_write_them_are_taken(notice_id: object) -> None:
    assert isinstance(read_notice(arrival({"notice_id": notice_id})), Accepted)


@pytest.mark.parametrize(
    "notice_id",
    [None, "", " ", "a/../b", "a?b", "a b", "a\nb", "ana@example.com", "x" * 201, True, 1.5, {}, "%2e"],
)  # fmt: skip
def test_what_could_not_be_an_id_is_refused(notice_id: object) -> None:
    result = read_notice(arrival({"notice_id": notice_id}))
    assert isinstance(result, Refused)
    assert result.faults[0].field == "notice_id"


@pytest.mark.parametrize("action", ["updated", None, [], 1])
def test_an_action_that_is_none_is_refused(action: object) -> None:
    assert isinstance(read_notice(arrival({"notice_id": 7, "action": action})), Refused)


def test_an_endless_notice_is_cut() -> None:
    content = {"notice_id": 7} | {f"field{n}": "x" * 1000 for n in range(1000)}
    details = only(read_notice(arrival(content))).data.details
    assert len(details) == 50
    assert set(map(len, details.values())) == {500}
