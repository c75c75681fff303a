"""The sample day as `caudal demo` plays it: for somebody who watches, or through to its end and verified."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import typer

from deploy.demo.day import Parcel, day
from services.cli import books, sending
from services.cli.board import Board
from services.cli.daybooks import hurried, ways
from services.cli.figures import figures
from services.cli.installation import LEDGER, Installation, home
from services.cli.playing import Tally, play
from services.cli.stage import sample_crm

QUIET_S, AT_MOST_S = 5.0, 180.0
CRM_PACE_S, CRM_PACE_EXIT_S = 4.0, 1.0


def next_day(leads: int) -> Sequence[Parcel]:
    """What is sent on the next day of this home."""
    return day(leads, _number())


def watched(here: Installation, parcels: Sequence[Parcel], seconds: float, began: float, *, hurry: bool) -> None:
    """Play for somebody who watches, and go on showing what happens until Ctrl-C."""
    history = list(books.history(here.kafka))
    with (
        sample_crm(here, CRM_PACE_S),
        hurried(here, history) if hurry else nullcontext(),
        _board(here, began) as board,
    ):
        board.out.print(f"24 hours of a sample day pass in about {seconds:.0f} s")
        play(parcels, seconds, ways(here, history), board.tally, board.look)
        board.over = True
        board.out.print("the day is over; what it began goes on until Ctrl-C")
        while True:
            time.sleep(0.1)
            board.look()


def through(here: Installation, parcels: Sequence[Parcel], began: float, as_json: bool) -> int:
    """Play as fast as intake answers, wait until nothing moves any more, verify; the exit code."""
    history = list(books.history(here.kafka))
    with sample_crm(here, CRM_PACE_EXIT_S), _board(here, began) as board:
        board.out.print("24 hours of a sample day pass as fast as intake answers")
        play(parcels, 0, ways(here, history), board.tally, board.look)
        played, board.over = time.monotonic(), True
        while time.monotonic() - max(played, board.changed) < QUIET_S and time.monotonic() - played < AT_MOST_S:
            time.sleep(0.1)
            board.look()
    code, verified = _verify()
    result = verified | {"day": _own(board)}
    typer.echo(json.dumps(result, indent=1) if as_json else _told(result))
    return code


def _number() -> int:
    """Each play in a home is a day of its own, with other people; its ledger says that it was."""
    return next(n for n in count(1) if not _ledger(n).exists())


def _ledger(number: int) -> Path:
    return home() / LEDGER / f"demo-{number}.jsonl"


def _board(here: Installation, began: float) -> Board:
    return Board(here, Tally(sending.Ledger(_ledger(_number()))), began, figures(here))


def _verify() -> tuple[int, dict[str, Any]]:
    """What `caudal verify` says of the whole installation, and its exit code."""
    argv = [sys.executable, "-m", "services.cli", "verify", "--wait", "--json"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    try:
        return done.returncode, dict(json.loads(done.stdout))
    except ValueError:
        typer.echo("`caudal verify` gave no result; its complaint stands above", err=True)
        return done.returncode or 1, {}


def _told(result: dict[str, Any]) -> str:
    """The result for a person: the day, then every rule that does not hold."""
    lines = [f"{name:<18}{value}" for name, value in result["day"].items()]
    broken = [f"broken: {v['rule']} ({len(v['ids'])} times): {v['text']}" for v in result.get("broken", ())]
    return "\n".join([*lines, f"violations        {result.get('violations', 'not verified')}", *broken])


def _own(board: Board) -> dict[str, Any]:
    tally, now = board.tally, board.now
    return {
        "sent": tally.sent, "acknowledged": tally.acknowledged, "refused": dict(tally.refused),
        "accepted": now.accepted, "won": now.won, "lost": now.lost, "mails": now.mails,
        "dead_letters": now.dead_letters, "first_assigned_s": board.first_assigned_s,
        "seconds": round(time.monotonic() - board.began, 1),
    }  # fmt: skip
