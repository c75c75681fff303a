"""The `caudal` command: its table of contents."""

from __future__ import annotations

import typer

from services.cli import bench, checks, demo, leads, rules, send, sources, up, verify

app = typer.Typer(
    name="caudal",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Caudal: an event-driven lead pipeline. Start with `caudal up`, then `caudal demo`.",
)
for command in (
    up.up,
    up.down,
    up.status,
    up.run,
    demo.demo,
    send.send,
    leads.lead,
    leads.report,
    checks.topics,
    checks.doctor,
    verify.verify,
):
    app.command()(command)
app.add_typer(rules.app, name="rules")
app.add_typer(sources.app, name="sources")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Entry point of the command."""
    app()


if __name__ == "__main__":
    main()
