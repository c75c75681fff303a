"""The `caudal` command: its table of contents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

COMMANDS = {
    "up": "up", "down": "up", "status": "up", "run": "up", "demo": "demo", "send": "send", "lead": "leads",
    "report": "leads", "topics": "checks", "doctor": "checks", "verify": "verify",
}  # fmt: skip
"""Each command, and the module here that holds the function of this name."""
GROUPS = ("rules", "sources", "bench")
"""Modules here that hold commands of their own."""


def command_line(words: Sequence[str]) -> typer.Typer:
    """The command as far as these words need it: most of a short command's time would go into importing the others."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        help="Caudal: an event-driven lead pipeline. Start with `caudal up`, then `caudal demo`.",
    )
    app.callback()(lambda: None)  # without one, a lone command would go without its name
    known = (*COMMANDS, *GROUPS)
    for name in words[:1] if words[:1] and words[0] in known else known:
        module = import_module(f"services.cli.{COMMANDS.get(name, name)}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def main() -> None:
    """Entry point of the command."""
    command_line(sys.argv[1:])(prog_name="caudal")


if __name__ == "__main__":
    main()
