"""What the console answers over HTTP, on real PostgreSQL."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from services.analytics.console.app import create_app
from services.analytics.settings import AnalyticsSettings
from tests.analytics_feed import REPS, SECRET, START, Feed, Story


@pytest.fixture
def feed(database: str) -> Iterator[Feed]:
    opened = Feed(database)
    yield opened
    opened.close()


@pytest.fixture
def client(feed: Feed) -> TestClient:
    settings = AnalyticsSettings(postgres=feed.dsn, secret=SECRET)
    return TestClient(create_app(settings, dict, lambda: START + timedelta(minutes=1)), "http://127.0.0.1")


def test_every_answer_forbids_foreign_content_framing_and_keeping(client: TestClient) -> None:
    for path in ("/", "/static/console.js", "/leads/nobody", "/api/reports/funnel", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")


def test_a_foreign_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example.com"}).status_code == 400


def test_a_report_answers_alike_as_json_and_as_csv(feed: Feed, client: TestClient) -> None:
    for n in range(5):
        feed.take([*Story(n, rep=REPS[n % 2]).whole(), Story(n).outcome("lead.won", value=10.01)])
    asked = "/api/reports/funnel?by=source,owner&since=2026-03-01&until=2026-04-01"
    as_json = client.get(asked).json()
    as_csv = list(csv.DictReader(io.StringIO(client.get(f"{asked}&format=csv").text)))
    assert [(r["owner"], r["leads"], r["revenue"]) for r in as_json] == [
        ("rep-ana", 3, ["30.03 EUR"]), ("rep-bo", 2, ["20.02 EUR"]),
    ]  # fmt: skip
    assert [(r["owner"], r["leads"], r["revenue"]) for r in as_csv] == [
        ("rep-ana", "3", "30.03 EUR"), ("rep-bo", "2", "20.02 EUR"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["funnel", "speed", "submissions", "deadletters"])
def test_every_report_has_a_page_and_data(feed: Feed, client: TestClient, name: str) -> None:
    feed.take([*Story(1).whole(), Story(2).given_up()])
    assert client.get(f"/reports/{name}?lang=es").status_code == 200
    assert len(client.get(f"/api/reports/{name}?since=2026-03-01").json()) == 1


def test_a_question_that_makes_no_sense_is_a_bad_request(client: TestClient) -> None:
    answer = client.get("/api/reports/funnel?since=tomorrow")
    assert answer.status_code == 400
    assert "2026-03-31" in answer.json()["detail"]
    assert client.get("/api/reports/horoscope").status_code == 404
    assert client.get("/api/reports/funnel?format=xml").status_code == 400


def test_a_lead_answers_with_its_events(feed: Feed, client: TestClient) -> None:
    feed.take(Story(1).whole())
    answer = client.get(f"/api/leads/{Story(1).lead_id}").json()
    assert [e["type"] for e in answer["events"]] == ["lead.received", "lead.qualified", "lead.assigned"]
    assert answer["events"][2]["rules_version"] == "router-1"
    assert client.get("/api/leads/nobody").status_code == 404


def test_fields_of_a_lead_are_escaped(feed: Feed, client: TestClient) -> None:
    feed.take(Story(1, name="<script>alert(1)</script>", source="<b>").whole())
    for path in ("/", f"/leads/{Story(1).lead_id}", "/reports/funnel?since=2026-03-01"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<b>" not in page.replace('<b class="', "").replace("<b>18:", "").replace("<b>09:", "") or path == "/"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get("/").text


def test_without_the_database_the_console_says_so(feed: Feed) -> None:
    settings = AnalyticsSettings(postgres="postgresql://127.0.0.1:1/nowhere", secret=SECRET)
    away = TestClient(create_app(settings, dict), "http://127.0.0.1", raise_server_exceptions=False)
    assert away.get("/").status_code == 503
    assert "nothing is lost" in away.get("/").text
    assert away.get("/api/reports/funnel").json()["error"] == "The database does not answer"
    assert away.get("/healthz").status_code == 200
