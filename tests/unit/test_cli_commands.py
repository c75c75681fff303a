"""The `caudal` command imports what the words on the command line need, and no more."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import COMMANDS, GROUPS, command_line

HEAVY = ("kafka", "jgo", "schemas.topics", "services.cli.books", "services.cli.bench")


@pytest.mark.parametrize("command", ["up", "demo", "status"])
def test_a_start_imports_neither_the_client_nor_the_rule_books_before_the_broker_boots(command: str) -> None:
    code = (
        f"import json, sys; from services.cli.__main__ import command_line; command_line([{command!r}])\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("words", [[], ["--help"], ["nonsense"]])
def test_without_a_known_command_all_are_there_to_be_listed(words: list[str]) -> None:
    listed = CliRunner().invoke(command_line(words), ["--help"]).output
    assert [name for name in (*COMMANDS, *GROUPS) if f" {name} " not in listed] == []


@pytest.mark.parametrize(("words", "word"), [(["topics"], "leads.received.v1"), (["sources", "key"], "sha256")])
def test_a_lone_command_keeps_its_name(words: list[str], word: str) -> None:
    result = CliRunner().invoke(command_line(words), words, env={"COLUMNS": "200"})
    assert (result.exit_code, word in result.output) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["demo", "--json"], "say --exit too"), (["report", "funnel", "--where", "fair"], "write it as NAME=VALUE"),
     (["report", "nothing"], "no report 'nothing'; there are funnel")],
)  # fmt: skip
def test_words_that_mean_nothing_are_told_on_standard_error_and_not_passed_over(words: list[str], said: str) -> None:
    result = CliRunner().invoke(command_line(words), words)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)
