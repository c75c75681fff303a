"""`caudal doctor` on a real Kafka and PostgreSQL that the environment names."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.embedded.parts import Parts
from services.cli import books, opening
from services.cli.__main__ import command_line
from tests.graph_server import fake_apis, graph_error, graph_lead
from tests.hydrate_desk import Desk
from tests.rig import quiet

__all__ = ["quiet"]


def test_a_topic_that_does_not_exist_is_named_and_all_is_well_once_it_does(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"HOME": tmp_path, "KAFKA": parts.kafka, "POSTGRES": parts.postgres, "DESTINATIONS": "doctored"}
    for name, value in settings.items():
        monkeypatch.setenv(f"CAUDAL_{name}", str(value))
    opening.create_topics(parts.kafka, (books.RULES_PUBLISHED,), 1, 1)
    before = CliRunner().invoke(command_line(["doctor"]), ["doctor"])
    assert before.exit_code == 1
    assert "not ok  topics: not there: " in before.stdout
    assert "crm.doctored.leads.v1" in before.stdout
    opening.open_log(parts.kafka, tmp_path)
    after = CliRunner().invoke(command_line(["doctor"]), ["doctor"])
    assert (after.exit_code, "not ok" in after.stdout) == (0, False), after.stdout
    assert [f"ok      {part}" in after.stdout for part in ("Kafka", "PostgreSQL", "topics", "rule books")] == [True] * 4


def test_a_source_whose_leads_cannot_be_read_is_named_with_their_number_their_time_and_the_remedy(
    parts: Parts, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
    monkeypatch.setenv("CAUDAL_KAFKA", parts.kafka)
    monkeypatch.setenv("CAUDAL_POSTGRES", database)
    assert lines() == []
    leads = {own: graph_lead(own, f"lead{own}@example.com") for own in "123"}
    with fake_apis(leads=leads) as fake, closing(Desk(database, fake, tmp_path, **hydrated(fake.url))) as desk:
        desk.now -= timedelta(hours=2)
        desk.tell("3", source="fair")
        desk.turn()
        fake.token = "renewed"
        desk.tell("1", "2", "3", source="ads")
        desk.turn()
        fake.token, fake.always = "good", graph_error(2)
        desk.tell("1", "2", source="fair")
        desk.turn()
        at = f"since {desk.now:%Y-%m-%d %H:%M} UTC"
        assert lines() == [
            f"not ok  leads of ads: 3 wait, parked {at} (Graph error 190, subcode 463); renew its token with "
            "`caudal sources secret ads token`, or mend what is said",
            f"not ok  leads of fair: 2 wait, retrying {at} (down); look at its API; what is given up "
            "`caudal sources retry fair` asks for again",
        ]
        fake.always = None
        for _ in range(3):
            desk.turn(400)
        assert lines() == ["ok      leads of ads", "ok      leads of fair"]


def hydrated(url: str) -> dict[str, object]:
    return {name: {"hydrate": {"api": "meta", "url": url, "per_hour": 36_000}} for name in ("ads", "fair")}


def lines() -> list[str]:
    """What the doctor says of leads."""
    said = CliRunner().invoke(command_line(["doctor"]), ["doctor"]).stdout.splitlines()
    return [line for line in said if "leads of" in line]
