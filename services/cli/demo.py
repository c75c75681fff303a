"""`caudal demo`: a sample day on this machine, with a sample CRM at the other end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import count
from typing import Annotated, Any

import typer

from deploy.demo.day import Parcel, day
from deploy.embedded.errors import EmbeddedError
from services.cli import sending
from services.cli.board import Board
from services.cli.figures import figures
from services.cli.installation import Installation
from services.cli.playing import Tally, play
from services.cli.stage import hurried, installation, sample_crm, ways
from services.runtime.errors import CaudalError

DAY_S = 75.0
QUIET_S, AT_MOST_S = 5.0, 180.0
CRM_PACE_S, CRM_PACE_EXIT_S = 4.0, 1.0


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="As fast as it goes; end when the day is through.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --exit: the result for programs.")] = False,
    leads: Annotated[int, typer.Option(help="People who become leads.", min=10, max=100_000)] = 5000,
    minutes: Annotated[float, typer.Option(help="How long the day takes.", min=0.1)] = DAY_S / 60,
) -> None:
    """Play a sample day: all sources send, a sample CRM answers, mails are caught and shown. Ctrl-C ends it.

    Example: caudal demo
    """
    began, code = time.monotonic(), 0
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.default_int_handler)
    try:
        with installation() as (here, ours):
            if leave:
                code = _through(here, leads, began, as_json)
            else:
                with hurried(here) if ours else nullcontext():
                    _watched(here, leads, minutes * 60, began)
    except (EmbeddedError, CaudalError) as error:
        typer.echo(str(error), err=True)
        code = 1
    except KeyboardInterrupt:
        code = 130 if leave else 0
    raise typer.Exit(code)


def _watched(here: Installation, leads: int, seconds: float, began: float) -> None:
    """Play for somebody who watches, and go on showing what happens until Ctrl-C."""
    with sample_crm(here, CRM_PACE_S), _board(here, began) as board:
        play(_next_day(here, leads), seconds, ways(here), board.tally, board.look)
        board.out.print("the day is over; what it began goes on until Ctrl-C")
        while True:
            time.sleep(0.1)
            board.look()


def _through(here: Installation, leads: int, began: float, as_json: bool) -> int:
    """Play as fast as intake answers, wait until nothing moves any more, verify; the exit code."""
    with sample_crm(here, CRM_PACE_EXIT_S), _board(here, began) as board:
        play(_next_day(here, leads), 0, ways(here), board.tally, board.look)
        played = time.monotonic()
        while time.monotonic() - max(played, board.changed) < QUIET_S and time.monotonic() - played < AT_MOST_S:
            time.sleep(0.1)
            board.look()
    code, verified = _verify()
    result = verified | {"day": _own(board)}
    typer.echo(json.dumps(result, indent=1) if as_json else _told(result))
    return code


def _next_day(here: Installation, leads: int) -> Sequence[Parcel]:
    return day(leads, _number(here))


def _number(here: Installation) -> int:
    """Each play in a home is a day of its own, with other people; its ledger says that it was."""
    return next(n for n in count(1) if not (here.ledger / f"demo-{n}.jsonl").exists())


def _board(here: Installation, began: float) -> Board:
    ledger = sending.Ledger(here.ledger / f"demo-{_number(here)}.jsonl")
    return Board(here, Tally(ledger), began, figures(here))


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
