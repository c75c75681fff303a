"""`caudal rules` on a real Kafka: publish, look, go back."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.embedded.parts import Parts
from schemas.topics import RULES_PUBLISHED
from services.cli.__main__ import command_line
from services.cli.books import default_body
from services.runtime.kafka.topics import create_topics


def rules(*words: str) -> Result:
    return CliRunner().invoke(command_line(["rules"]), ["rules", *words])


@pytest.fixture
def file(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"HOME": str(tmp_path), "KAFKA": parts.kafka, "POSTGRES": parts.postgres}.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)
    create_topics(parts.kafka, (RULES_PUBLISHED,), 1, 1)
    return tmp_path / "nurture.yaml"


def test_what_was_published_is_in_force_until_it_is_rolled_back(file: Path) -> None:
    versions = []
    for n in range(2):
        file.write_text(f"{default_body('nurture')}# {n} of {file.parent}\n")
        published = rules("publish", str(file), "--note", "[bold] stays as written")
        assert published.exit_code == 0, published.output
        versions.append(published.stdout.split("version ")[1].split()[0])
    assert rules("rollback", "nurture").stdout == f"book nurture: version {versions[0]} is in force\n"
    told = rules("history", "nurture").stdout
    assert told.count("(in force)") == 1
    assert versions[0] in next(line for line in told.splitlines() if "(in force)" in line)
    assert "[bold] stays as written" in told


def test_a_version_that_was_never_in_force_is_named_in_a_whole_sentence(file: Path) -> None:
    result = rules("rollback", "nurture", "nurture-0000000000")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "book nurture has no version nurture-0000000000 that was ever in force; "
        "`caudal rules history nurture` lists them\n"
    )
