"""What the console answers over HTTP, on real PostgreSQL."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.analytics_feed import REPS, Feed, Story
from tests.console import Console, running_console


@pytest.fixture
def console(database: str) -> Iterator[Console]:
    with running_console(database) as running:
        yield running


@pytest.fixture
def feed(console: Console) -> Feed:
    return console.feed


@pytest.fixture
def client(console: Console) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url) as opened:
        yield opened


def test_every_answer_forbids_foreign_content_framing_and_keeping(client: httpx.Client) -> None:
    for path in ("/", "/static/console.js", "/leads/nobody", "/api/reports/funnel", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")


def test_a_foreign_host_name_is_refused(client: httpx.Client) -> None:
    assert client.get("/", headers={"host": "evil.example.com"}).status_code == 400


def test_a_report_answers_alike_as_json_and_as_csv(feed: Feed, client: httpx.Client) -> None:
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
def test_every_report_has_a_page_and_data(feed: Feed, client: httpx.Client, name: str) -> None:
    feed.take([*Story(1).whole(), Story(2).given_up()])
    assert client.get(f"/reports/{name}?lang=es").status_code == 200
    assert len(client.get(f"/api/reports/{name}?since=2026-03-01&until=2026-04-01").json()) == 1


def test_a_question_that_makes_no_sense_is_a_bad_request(client: httpx.Client) -> None:
    answer = client.get("/api/reports/funnel?since=tomorrow")
    assert answer.status_code == 400
    assert "2026-03-31" in answer.json()["detail"]
    assert client.get("/api/reports/horoscope").status_code == 404
    assert client.get("/api/reports/funnel?format=xml").status_code == 400


def test_a_lead_answers_with_its_events(feed: Feed, client: httpx.Client) -> None:
    feed.take(Story(1).whole())
    answer = client.get(f"/api/leads/{Story(1).lead_id}").json()
    assert [e["type"] for e in answer["events"]] == ["lead.received", "lead.qualified", "lead.assigned"]
    assert answer["events"][2]["rules_version"] == "router-1"
    assert client.get("/api/leads/nobody").status_code == 404


def test_fields_of_a_lead_are_escaped(console: Console, client: httpx.Client) -> None:
    (lead,) = console.leads(1, name="<script>alert(1)</script>", source="<i>src")
    for path in ("/", f"/leads/{lead.lead_id}", "/reports/funnel"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<i>src" not in page
        assert "&lt;i&gt;src" in page


def test_without_the_database_the_console_says_so(console: Console, client: httpx.Client) -> None:
    alone = console.feed.session
    alone.autocommit = True
    alone.cursor().execute("ALTER TABLE funnel RENAME TO funnel_gone")
    assert client.get("/").status_code == 503
    assert "nothing is lost" in client.get("/").text
    assert client.get("/api/reports/funnel").json()["error"] == "The database does not answer"
    assert client.get("/healthz").status_code == 200
    alone.cursor().execute("ALTER TABLE funnel_gone RENAME TO funnel")
    assert client.get("/").status_code == 200


def test_a_judged_outcome_stands_once_in_the_story_and_a_refused_one_as_it_was_reported(
    feed: Feed, client: httpx.Client
) -> None:
    lead = Story(1)
    feed.take([*lead.whole(), lead.reported("lead.accepted"), lead.judged("lead.accepted"), lead.reported("lead.won")])
    told = client.get(f"/api/leads/{lead.lead_id}").json()["events"]
    assert [(e["topic"], e["type"]) for e in told[3:]] == [
        ("crm.crm.outcomes.v1", "lead.won"), ("leads.outcomes.v1", "lead.accepted"),
    ]  # fmt: skip
    page = client.get(f"/leads/{lead.lead_id}").text
    assert page.count("Accepted by the rep") == 1
    assert page.count("as reported, not judged") == 1


def test_the_latest_leads_stand_in_the_order_of_their_opening_however_they_were_read(console: Console) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    stories = [Story(n, at=now + timedelta(seconds=n), name=f"Person{n:02}") for n in range(30)]
    for story in sorted(stories, key=lambda s: (s.n % 6, s.n)):
        console.feed.take(story.whole(), now)
    again = stories[29].qualified(2, "hot", "lead.rescored")
    console.feed.take([again], now)
    page = httpx.get(console.url).text
    assert re.findall(r"<b>Person(\d+)", page) == [f"{n:02}" for n in range(29, 9, -1)]


def test_dead_letters_are_told_apart_by_today_and_kept(console: Console, client: httpx.Client) -> None:
    now = datetime.now(UTC)
    before = [Story(n, at=now - timedelta(days=2)).given_up(reason=f"reason{n}") for n in range(9)]
    console.feed.take([*before, Story(20, at=now).given_up()], now)
    page = client.get("/").text
    assert "10 kept for repair, 1 of them from today" in page
    assert 'id="dead-n">10<' in page
    assert "10 guardados para reparar, 1 de ellos de hoy" in client.get("/?lang=es").text


def test_reasons_are_spanish_on_the_spanish_page_and_as_written_where_they_are_not_known(
    feed: Feed, client: httpx.Client
) -> None:
    lead = Story(1, at=datetime.now(UTC))
    feed.take(
        [lead.received(), lead.qualified(), lead.assigned(turn="Next in turn: Ana (weight 2, 3 of 20 open leads)")]
    )
    for path in ("/?lang=es", f"/leads/{lead.lead_id}?lang=es"):
        page = client.get(path).text
        assert "Le toca a Ana (peso 2, 3 de 20 leads abiertos)" in page
        assert "Asked for a quote" in page


def test_a_closing_stands_after_its_outcome_and_does_not_repeat_why_the_lead_was_assigned(
    feed: Feed, client: httpx.Client
) -> None:
    lead = Story(1)
    feed.take([*lead.whole(), lead.assigned(2, "lead.closed"), lead.outcome("lead.won", after=lead.wait * 2)])
    told = client.get(f"/api/leads/{lead.lead_id}").json()["events"]
    assert [e["type"] for e in told[2:]] == ["lead.assigned", "lead.won", "lead.closed"]
    assert client.get(f"/leads/{lead.lead_id}").text.count("<li>Ana Torres was next in turn in pool north") == 1


def test_the_report_of_dead_letters_is_told_in_words_and_keeps_the_detail_whole(
    feed: Feed, client: httpx.Client
) -> None:
    feed.take([Story(1).given_up(detail="it holds no field; send one")])
    page = client.get("/reports/deadletters?lang=es&since=2026-03-01&until=2026-04-01").text
    assert "it holds no field; send one" in page
    assert ">Cualificación</td>" in page
    assert ">Falló al decidirlo</td>" in page


def test_the_funnel_by_owner_names_the_reps_and_not_their_ids(feed: Feed, client: httpx.Client) -> None:
    feed.take(Story(1).whole())
    page = client.get("/reports/funnel?by=owner&since=2026-03-01&until=2026-04-01").text
    assert "Ana Torres" in page
    assert "rep-ana" not in page
