"""`caudal status`: what runs here, and how it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.embedded.supervisor import State, read_state
from services.cli.installation import home
from services.cli.ports import read_ports
from services.cli.tables import show, table
from services.cli.vitals import Vital, states, vitals

PAGES = {"console": "console", "intake": "intake", "mailbox": "mails"}
"""Address that each process serves, by the word for it."""


def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what runs here: each process with its health, pid and port, and the addresses.

    Exit code 1 if nothing runs.

    Example: caudal status
    """
    running = list(states(home()))
    processes = [one for state in running for one in vitals(state)]
    if as_json:
        typer.echo(json.dumps(for_programs(read_state(home()), processes), indent=1))
    elif running:
        listed = table("process", "health", "pid", "port", "restarts", "log")
        for one in processes:
            child, log = one.child, str(short(one.child.log))
            listed.add_row(child.name, one.health, _or(one.pid), _or(one.port), str(child.restarts), log)
        show(listed)
        for name, address in addresses(running[0]).items():
            typer.echo(f"{name:<8} {address}")
    else:
        typer.echo(f"nothing runs on {short(home())}; start it with `caudal up`", err=True)
    raise typer.Exit(0 if running else 1)


def addresses(state: State) -> dict[str, str]:
    """Where people and programs find this installation."""
    ports, names = read_ports(home()), {child.name for child in state.children}
    found: dict[str, str | None] = {
        "console": f"http://127.0.0.1:{ports.console}/",
        "intake": f"http://127.0.0.1:{ports.intake}/v1/leads",
        "mails": f"http://127.0.0.1:{ports.mailbox}/",
        "kafka": state.kafka,
    }
    absent = {PAGES[name] for name in PAGES.keys() - names}
    return {name: address for name, address in found.items() if address and name not in absent}


def short(path: Path) -> Path:
    """The path as it reads from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _or(value: int | None) -> str:
    return "" if value is None else str(value)


def for_programs(state: State | None, processes: Sequence[Vital]) -> dict[str, Any]:
    """What `--json` prints, of the same form whether anything runs or not; the DSN with its password stays out."""
    supervisor = state.model_dump(mode="json", exclude={"postgres", "children"}) if state else {"pid": None}
    return supervisor | {
        "home": str(home()),
        "ready": bool(state and state.ready) and all(one.well for one in processes),
        "addresses": addresses(state) if state else {},
        "children": [one.as_json() for one in processes],
    }
