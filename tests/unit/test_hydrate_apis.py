"""The APIs that hydrate reads from: what a lead becomes, and what each refusal means."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.intake.arrival import Accepted, Arrival
from services.intake.hydrate import apis, graph
from services.intake.hydrate.answer import (
    Answer,
    Denied,
    Down,
    Failed,
    Found,
    Gone,
    Limited,
    NotFound,
    Reply,
    by_status,
    json_object,
    retry_after,
)
from services.intake.hydrate.backfill import notices, patient
from services.intake.hydrate.http import getter
from services.intake.notices import read_notice
from services.intake.outside import Allow, allowed
from services.intake.sources.source import Hydrate, Source
from services.runtime.errors import Unavailable
from services.runtime.verdict import Outgoing
from tests.graph_server import (
    Fake,
    fake_apis,
    graph_error,
    graph_lead,
    hubspot_contact,
    linkedin_lead,
    unreadable,
)

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
LOCAL = allowed("127.0.0.0/8")
GET = getter(5, LOCAL)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_apis() as running:
        yield running


def read(fake: Fake, api: str, own: str, token: str = "good", **more: Any) -> Answer:
    return apis.read(GET, Hydrate.model_validate({"api": api, "url": fake.url, **more}), token, own, NOW)


def test_a_lead_of_meta_is_its_answers_and_what_is_known_of_the_form(fake: Fake) -> None:
    boxes = [{"checkbox_key": "news", "is_checked": "1"}]
    fake.leads["1459"] = graph_lead("1459", "ana@example.com", custom_disclaimer_responses=boxes)
    fake.leads["1459"]["field_data"].append({"name": "colours", "values": ["red", "blue"]})
    found = read(fake, "meta", "1459")
    assert isinstance(found, Found)
    assert found.content["email"] == "ana@example.com"
    assert (found.content["colours"], found.content["disclaimer.news"]) == ("red, blue", "1")
    assert (found.content["campaign_name"], found.content["form_id"]) == ("spring", "1616")
    assert "is_test" not in found.content
    assert '"ana@example.com"' in found.raw


def test_the_token_stands_in_a_header_and_in_no_url(fake: Fake) -> None:
    fake.leads["1459"] = graph_lead("1459", "ana@example.com")
    for api in ("meta", "linkedin", "hubspot"):
        read(fake, api, "1459")
    assert all(headers["authorization"] == "Bearer good" for headers in fake.headers)
    assert not any("good" in path for path in fake.asked)


def test_a_lead_of_metas_test_tool_is_a_test() -> None:
    lead = graph_lead("1", "test@example.com")
    lead["field_data"].append({"name": "city", "values": ["<test lead: dummy data for city>"]})
    assert graph.content(lead)["is_test"] is True


def test_a_response_of_linkedin_has_the_names_of_its_forms_questions(fake: Fake) -> None:
    fake.leads["5a1b-7"] = linkedin_lead("5a1b-7", "luis@example.org")
    found = read(fake, "linkedin", "urn:li:leadGenFormResponse:5a1b-7")
    assert isinstance(found, Found)
    expected = {"email": "luis@example.org", "first_name": "Luis", "Budget?": "Under 1000", "consent.9": True}
    assert expected.items() <= found.content.items()
    assert (found.content["form"], found.content["utm_campaign"]) == ("Heat pumps", "autumn")
    assert fake.headers[0]["x-restli-protocol-version"] == "2.0.0"


def test_a_response_without_its_form_keeps_its_answers(fake: Fake) -> None:
    fake.leads["7"] = {k: v for k, v in linkedin_lead("7", "luis@example.org").items() if k != "form"}
    found = read(fake, "linkedin", "7")
    assert isinstance(found, Found)
    assert found.content["question 1"] == "luis@example.org"
    assert found.content["question 3"] == "1"


def test_a_contact_of_hubspot_is_asked_for_the_properties_that_the_source_names(fake: Fake) -> None:
    fake.leads["33"] = hubspot_contact("33", "marta@example.com", colour="red", company="")
    found, own = read(fake, "hubspot", "33"), read(fake, "hubspot", "33", properties=("email", "colour"))
    assert isinstance(found, Found)
    assert isinstance(own, Found)
    assert found.content["given_name"] == "Marta"
    assert {"company", "colour"}.isdisjoint(found.content)
    assert own.content["colour"] == "red"
    fake.leads["33"]["archived"] = True
    assert read(fake, "hubspot", "33") == Gone()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (graph_error(190, 463, status=401), Denied), (graph_error(10), Denied), (graph_error(200), Denied),
        (graph_error(299), Denied), (graph_error(4), Limited), (graph_error(17), Limited), (graph_error(32), Limited),
        (graph_error(613), Limited), (graph_error(80005), Limited), (unreadable(), NotFound), (graph_error(1), Down),
        (graph_error(2, status=500), Down), (graph_error(100), Failed), ((502, {}, b"<html>"), Down),
        ((429, {}, b""), Limited), ((410, {}, b""), Gone), ((302, {"location": "/"}, b""), Failed),
        ((200, {}, b"<html>"), Failed), ((200, {}, b'{"id": "1"}'), Failed), ((200, {}, b"[1]"), Failed),
    ],
)  # fmt: skip
def test_each_refusal_of_meta_means_what_its_documents_say(fake: Fake, said: Any, kind: type) -> None:
    fake.leads["1"] = graph_lead("1", "ana@example.com")
    fake.script["1"] = [said]
    assert isinstance(read(fake, "meta", "1"), kind)
    assert isinstance(read(fake, "meta", "1"), Found)


@pytest.mark.parametrize("api", ["linkedin", "hubspot"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Denied), (403, Denied), (404, NotFound), (410, Gone), (429, Limited), (500, Down), (301, Failed),
     (400, Failed)],
)  # fmt: skip
def test_each_status_of_linkedin_and_hubspot_means_something(fake: Fake, api: str, status: int, kind: type) -> None:
    fake.always = (status, {}, {"message": "no"})
    assert isinstance(read(fake, api, "1"), kind)


def test_how_long_to_wait_is_taken_from_the_answer(fake: Fake) -> None:
    usage = '{"1": [{"type": "leadgen", "estimated_time_to_regain_access": 7}]}'
    for said, seconds in [
        (graph_error(80005, headers={"X-Business-Use-Case-Usage": usage}), 420.0),
        (graph_error(4, headers={"X-Business-Use-Case-Usage": "["}), None),
        (graph_error(4, status=429, headers={"Retry-After": "30"}), 30.0),
        ((503, {"Retry-After": "9"}, b""), 9.0),
    ]:
        fake.script["1"] = [said]
        answer = read(fake, "meta", "1")
        assert isinstance(answer, Limited)
        assert answer.after_s == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), ("999999", 3600), ("Tue, 10 Nov 2026 12:00:30 GMT", 30), ("soon", None), (None, None),
     ("Tue, 10 Nov 2020 12:00:30 GMT", 0), ("-1", None)],
)  # fmt: skip
def test_retry_after_is_read_in_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_no_refusal_tells_what_the_api_said_in_words(fake: Fake) -> None:
    fake.script["1"] = [graph_error(100)]
    answer = read(fake, "meta", "1")
    assert isinstance(answer, Failed)
    assert answer.detail == "Graph error 100"
    assert by_status(Reply(400, {}, b"ana@example.com"), NOW) == Failed("HTTP 400")


def test_an_api_that_is_away_slow_or_endless_is_unavailable(fake: Fake) -> None:
    fake.always = (200, {}, b"x" * 300_000)
    with pytest.raises(Unavailable):
        read(fake, "meta", "1")
    fake.always, fake.script["1"] = None, [1.0]
    with pytest.raises(Unavailable):
        getter(0.2, LOCAL)(f"{fake.url}/1?access_token=good", {})
    with pytest.raises(Unavailable):
        getter(0.2, LOCAL)("http://127.0.0.1:1/1", {})


def test_leads_are_listed_page_after_page_within_the_range(fake: Fake) -> None:
    days = {str(n): f"2026-11-{n:02}T08:00:00+0000" for n in range(1, 8)}
    fake.leads = {own: graph_lead(own, f"a{own}@example.com", created=day) for own, day in days.items()}
    fake.forms = {"1616": list("1234567"), "1617": []}
    api = Hydrate(api="meta", url=fake.url)
    span = (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC))
    found = list(apis.listed(GET, api, "good", (), *span, NOW))
    assert [one["notice_id"] for one in found if isinstance(one, dict)] == list("2345")
    assert all(one["form_id"] == "1616" for one in found if isinstance(one, dict))
    assert list(apis.listed(GET, api, "bad", ("1616",), *span, NOW)) == [Denied("Graph error 190, subcode 463")]


def test_linkedin_and_hubspot_list_ids_that_their_notices_have(fake: Fake) -> None:
    fake.leads = {str(n): linkedin_lead(str(n), "l@example.org") for n in range(3)}
    span = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))
    account = ("urn:li:sponsoredAccount:5",)
    found = list(apis.listed(GET, Hydrate(api="linkedin", url=fake.url), "good", account, *span, NOW))
    assert [one["notice_id"] for one in found if isinstance(one, dict)] == [
        f"urn:li:leadGenFormResponse:{n}" for n in range(3)
    ]
    fake.leads = {str(n): hubspot_contact(str(n), "m@example.com") for n in range(5)}
    fake.leads["4"]["createdAt"] = "2026-10-01T00:00:00.000Z"
    found = list(apis.listed(GET, Hydrate(api="hubspot", url=fake.url), "good", (), *span, NOW))
    assert [one["notice_id"] for one in found if isinstance(one, dict)] == list("0123")


def test_an_address_that_is_not_public_is_not_asked_and_says_what_to_correct(fake: Fake) -> None:
    answer = apis.read(getter(5, Allow()), Hydrate(api="meta", url=fake.url), "good", "1", NOW)
    assert isinstance(answer, Denied)
    assert "CAUDAL_OUTBOUND_ALLOW" in answer.detail
    assert fake.asked == []


def test_a_backfill_waits_as_long_as_the_api_asks_and_tells_the_ids_that_notices_have(fake: Fake) -> None:
    fake.leads = {own: graph_lead(own, f"a{own}@example.com") for own in "123"}
    fake.forms, slept = {"1616": list("123")}, list[float]()
    usage = {"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 2}]}'}
    fake.script["leads"] = [graph_error(80005, headers=usage), graph_error(4)]
    source = Source(name="meta", hydrate=Hydrate(api="meta", url=fake.url))
    assert source.hydrate
    get = patient(GET, source.hydrate, lambda: NOW, slept.append)
    span = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    told = list(notices(get, source, "good", ("1616",), *span, NOW))
    assert slept == [120.0, 30.0]
    came = read_notice(Arrival(source, {"notice_id": 2}, "", None, NOW, NOW, ""))
    assert isinstance(came, Accepted)
    assert [one.id for one in told if isinstance(one, Outgoing)][1] == came.id
    assert list(notices(GET, source, "bad", (), *span, NOW)) == [Denied("Graph error 190, subcode 463")]


def test_half_a_letter_in_an_answer_is_cleaned_and_what_is_no_object_is_none() -> None:
    found = json_object(Reply(200, {}, b'{"name": "Ana \\ud83d"}'))
    assert found == {"name": "Ana \ufffd"}
    bodies = (b"[1]", b"{", b'{"a": 1, "a": 2}', b'{"a":' * 100_000, b"\xff\xfe{")
    assert [json_object(Reply(200, {}, body)) for body in bodies] == [None] * 5
