"""What `caudal demo` prints where no terminal is there."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.board import LINE_EVERY_S, Board
from services.cli.figures import Figures
from services.cli.installation import Installation
from services.cli.playing import Tally
from services.cli.ports import Ports
from services.cli.sending import Ledger


@pytest.fixture
def board(tmp_path: Path) -> Board:
    here = Installation(tmp_path, "broker:9092", "dbname=none", Ports(8410, 8420, 8430, 8425))
    out = Console(file=io.StringIO(), soft_wrap=True)
    return Board(here, Tally(Ledger(tmp_path / "ledger.jsonl")), 0.0, Figures(), out)


def lines(board: Board) -> list[str]:
    assert isinstance(board.out.file, io.StringIO)
    return board.out.file.getvalue().splitlines()


def test_a_line_comes_only_when_figures_have_changed(board: Board) -> None:
    for n in range(1, 100):
        board.show(n * LINE_EVERY_S)
    assert len(lines(board)) == 1
    board.now = Figures(leads=1)
    board.show(100 * LINE_EVERY_S)
    assert len(lines(board)) == 2


def test_changes_are_told_at_most_every_few_seconds_and_none_is_left_out(board: Board) -> None:
    for n in range(40):
        board.now = Figures(leads=n)
        board.show(100 + n * LINE_EVERY_S / 20)
    assert len(lines(board)) == 2
    board.show(100 + 3 * LINE_EVERY_S)
    assert "leads 39" in lines(board)[-1]


def test_the_clock_says_that_it_is_that_of_the_sample_day_and_when_it_is_over(board: Board) -> None:
    board.tally.at = 99 * 60
    board.show(LINE_EVERY_S)
    board.over, board.now = True, Figures(won=1)
    board.show(2 * LINE_EVERY_S)
    assert [line.partition("  ")[0] for line in lines(board)] == ["sample day 01:39 of 24:00", "sample day over"]
