"""Meta's and HubSpot's own clients read our fakes as they read the real APIs: hydrate is tested with faithful ones."""

import json
from collections.abc import Iterator

import pytest
from facebook_business.adobjects.lead import Lead
from facebook_business.adobjects.leadgenform import LeadgenForm
from facebook_business.adobjects.page import Page
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession
from hubspot.crm.contacts import ApiClient, ApiException, BasicApi, Configuration

from tests.graph_server import Fake, fake_apis, graph_error, graph_lead, hubspot_contact, unreadable

IDS = ["1", "2", "3", "4", "5"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    leads = {own: graph_lead(own, f"lead{own}@example.com") for own in IDS}
    with fake_apis(leads=leads, forms={"1616": IDS}) as running:
        monkeypatch.setattr(FacebookSession, "GRAPH", running.url)
        yield running


def client(token: str = "good") -> FacebookAdsApi:
    return FacebookAdsApi.init(access_token=token)


def test_a_lead_has_the_fields_that_metas_client_knows(fake: Fake) -> None:
    client()
    lead = Lead("1").api_get(fields=["created_time", "field_data", "form_id", "platform", "is_organic"])
    assert lead[Lead.Field.form_id] == "1616"
    assert lead[Lead.Field.field_data][0]["values"] == ["lead1@example.com"]
    known = {name for name in vars(Lead.Field) if not name.startswith("_")}
    assert set(fake.leads["1"]) <= known


def test_a_forms_leads_are_paged_to_the_end(fake: Fake) -> None:
    client()
    later = {"field": "time_created", "operator": "GREATER_THAN", "value": 1}
    listed = LeadgenForm("1616").get_leads(fields=["id"], params={"filtering": json.dumps([later])})
    assert [lead["id"] for lead in listed] == IDS
    assert [form["id"] for form in Page("me").get_lead_gen_forms(fields=["id"])] == ["1616"]


@pytest.mark.parametrize(
    ("said", "status", "code", "subcode"),
    [(unreadable(), 400, 100, 33), (graph_error(80005), 400, 80005, None), (graph_error(2, status=500), 500, 2, None)],
)  # fmt: skip
def test_refusals_have_the_codes_that_metas_client_reads(
    fake: Fake, said: tuple[int, dict[str, str], object], status: int, code: int, subcode: int | None
) -> None:
    client()
    fake.script["1"] = [said]
    with pytest.raises(FacebookRequestError) as refused:
        Lead("1").api_get(fields=["id"])
    assert (refused.value.http_status(), refused.value.api_error_code()) == (status, code)
    assert refused.value.api_error_subcode() == subcode


def test_an_expired_token_is_error_190(fake: Fake) -> None:
    client("expired")
    with pytest.raises(FacebookRequestError) as refused:
        Lead("1").api_get(fields=["id"])
    assert refused.value.api_error_code() == 190


def test_metas_client_proves_its_apps_secret_as_our_fake_asks(fake: Fake) -> None:
    fake.app_secret = "app secret"
    FacebookAdsApi.init(access_token="good", app_secret="app secret")
    assert Lead("1").api_get(fields=["id"])["id"] == "1"
    FacebookAdsApi.init(access_token="good", app_secret="another")
    with pytest.raises(FacebookRequestError, match="appsecret_proof"):
        Lead("1").api_get(fields=["id"])


def test_hubspots_client_reads_our_fake_contacts(fake: Fake) -> None:
    fake.leads = {own: hubspot_contact(own, f"contact{own}@example.com") for own in IDS}
    where = Configuration(host=fake.url)
    where.access_token = "good"
    with ApiClient(where) as api:
        contact = BasicApi(api).get_by_id("3", properties=["email"])
        assert (contact.id, contact.properties["email"]) == ("3", "contact3@example.com")
        first = BasicApi(api).get_page(limit=2)
        assert first.paging.next.after == "2"
        assert [one.id for one in BasicApi(api).get_page(limit=2, after="4").results] == ["5"]
        with pytest.raises(ApiException) as refused:
            BasicApi(api).get_by_id("99", properties=["email"])
        assert refused.value.status == 404
