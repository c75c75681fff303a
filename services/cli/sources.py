"""`caudal sources`: keys of those who send."""

from __future__ import annotations

import typer
from rich.console import Console

from services.cli import hydrating
from services.cli.installation import home, source_keys
from services.intake.keys import new_key

app = typer.Typer(no_args_is_help=True, help="Sources and their keys. Example: caudal sources keys")
out = Console(highlight=False, soft_wrap=True)


@app.command()
def key() -> None:
    """Make a key: shows it once, and the line for the sources book.

    Example: caudal sources key
    """
    text, prefix, digest = new_key()
    out.print(f"key, give it to the sender and keep no copy:\n  {text}", markup=False)
    out.print(
        f"line for deploy/rules/sources.yaml, under the source:\n  keys: [{{prefix: {prefix}, sha256: {digest}}}]",
        markup=False,
    )
    out.print("then: caudal rules publish deploy/rules/sources.yaml")


@app.command()
def keys() -> None:
    """Show the keys that `caudal up` made for the default sources of this machine.

    Example: caudal sources keys
    """
    for source, text in source_keys(home()).items():
        out.print(f"{source:<15} {text}", markup=False)


app.command("hydrate")(hydrating.hydrate)
app.command("retry")(hydrating.retry)
app.command("backfill")(hydrating.backfill)
