"""The `caudal` command: its table of contents."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "up": "up", "down": "up", "status": "status", "run": "run", "demo": "demo", "send": "send", "lead": "leads",
    "report": "leads", "topics": "checks", "doctor": "doctor", "verify": "verify",
    "import": "importing:import_file", "imports": "importing",
}  # fmt: skip
"""Each command, and the module here that holds the function of this name, or of the one after the colon."""
GROUPS = ("rules", "sources", "bench")
"""Modules here that hold commands of their own."""
CHECKED = ("up", "run", "demo", "bench", "verify")
"""Commands that need every setting, and refuse to begin with a wrong one; the others look at those that they use."""
ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOPPED = tuple(128 + number for number in ASKING)


def command_line(words: Sequence[str]) -> typer.Typer:
    """The command as far as these words need it: most of a short command's time would go into importing the others."""
    import typer  # here: `main` is ready for Ctrl-C before

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        help="Caudal: an event-driven lead pipeline. Start with `caudal up`, then `caudal demo`.",
    )
    app.callback()(lambda: None)  # without one, a lone command would go without its name
    known = (*COMMANDS, *GROUPS)
    for name in words[:1] if words[:1] and words[0] in known else known:
        place, _, function = COMMANDS.get(name, name).partition(":")
        module = import_module(f"services.cli.{place}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, function or name))
    return app


def main() -> None:
    """Entry point of the command. What it writes is its user's alone; Ctrl-C and SIGTERM end it in order."""
    _on_signals(_leave_at_once)
    os.umask(0o077)
    try:
        _run(sys.argv[1:])
    except SystemExit as end:
        if end.code in STOPPED:
            print("stopped", file=sys.stderr)
        raise


def _run(words: Sequence[str]) -> None:
    from deploy.embedded.errors import EmbeddedError
    from services.runtime.errors import CaudalError

    try:
        if words[:1] and words[0] in CHECKED and "--help" not in words:
            import_module("services.cli.environment").check_environment()
        app = command_line(words)
        _on_signals(_leave_in_order)
        app(prog_name="caudal")
    except (EmbeddedError, CaudalError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _on_signals(leave: Callable[[int, FrameType | None], None]) -> None:
    for number in ASKING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` asks for
            signal.signal(number, leave)


def _leave_at_once(number: int, _: FrameType | None) -> None:
    """Nothing was begun; and an exception in the midst of an import may be swallowed or shown."""
    os.write(2, b"stopped\n")
    os._exit(128 + number)


def _leave_in_order(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
