"""Tables of the command: whole in a pipe, folded on a narrow terminal, never cut."""

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from services.cli import tables
from services.cli.__main__ import command_line

LONG = ("routing-0123456789", "lead.assigned, lead.reassigned, lead.updated, lead.offered", "x" * 130)


def filled() -> tables.Table:
    table = tables.table("version", "events", "what", title="a title that is longer than what the terminal has")
    table.add_row(*LONG)
    return table


@pytest.mark.parametrize("colour", ["", "1"])
def test_in_a_pipe_every_row_is_one_whole_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    """Also where colours are forced, as build servers do."""
    monkeypatch.setenv("FORCE_COLOR", colour)
    monkeypatch.setenv("COLUMNS", "80")
    tables.show(filled())
    lines = capsys.readouterr().out.splitlines()
    assert [all(cell in line for cell in LONG) for line in lines].count(True) == 1


def test_on_a_narrow_terminal_long_words_are_folded_and_none_is_cut() -> None:
    ours, theirs = os.openpty()
    code = "from tests.unit.test_cli_tables import filled, tables; tables.show(filled())"
    env = {**os.environ, "COLUMNS": "40", "TERM": "xterm", "NO_COLOR": "1"}
    try:
        subprocess.run([sys.executable, "-c", code], stdout=theirs, env=env, check=True)
        said = re.sub(r"\x1b\[[0-9;]*m", "", os.read(ours, 65_536).decode())
    finally:
        os.close(ours)
        os.close(theirs)
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= 40
    assert said.count("x") == 130


def test_what_others_wrote_orders_nothing_of_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for hostile in map(chr, (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066)):
        table = tables.table("what")
        table.add_row(f"a{hostile}b")
        for what in (f"a{hostile}b", table):
            tables.show(what)
    said = capsys.readouterr().out
    assert {c for c in said if not c.isprintable()} == {"\n"}
    assert ("a␛b" in said, said.startswith("a␀b\n┏")) == (True, True)


def test_every_topic_stands_whole_in_a_pipe() -> None:
    said = CliRunner().invoke(command_line(["topics"]), ["topics"], env={"COLUMNS": "80"}).stdout
    assert "…" not in said
    assert "crm.crm.outcomes.v1" in said
