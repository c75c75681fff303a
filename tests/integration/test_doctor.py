"""`caudal doctor` on a real Kafka and PostgreSQL that the environment names."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.embedded.parts import Parts
from services.cli import books, opening
from services.cli.__main__ import command_line


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
