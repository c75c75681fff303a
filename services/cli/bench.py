"""`caudal bench`: figures on this machine, each on a temporary installation of its own."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Annotated

import typer

from deploy.embedded.errors import EmbeddedError
from services.cli.benches.chain import chain
from services.cli.benches.intake import batch, intake
from services.cli.benches.latency import burst, latency
from services.cli.benches.lists import lists
from services.cli.tables import show, table

app = typer.Typer(no_args_is_help=True, help="Figures on this machine. Example: caudal bench chain --leads 50000")
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command(name="chain")
def chain_command(
    leads: Annotated[int, typer.Option(min=100, help="How many.")] = 200_000, as_json: Json = False
) -> None:
    """Drain preloaded submissions through all services: leads per second and CPU per lead.

    Example: caudal bench chain --leads 50000 --json
    """
    tell(lambda: chain(leads), as_json)


@app.command(name="latency")
def latency_command(
    rate: Annotated[int, typer.Option(min=1, help="Leads per second.")] = 50,
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = 60,
    as_json: Json = False,
) -> None:
    """Time from accepted to assigned at a steady rate.

    Example: caudal bench latency --rate 50 --seconds 60
    """
    tell(lambda: latency(rate, seconds), as_json)


@app.command(name="burst")
def burst_command(
    leads: Annotated[int, typer.Option(min=100, help="How many.")] = 10_000, as_json: Json = False
) -> None:
    """Post leads in batches of 100: when is the last one assigned?

    Example: caudal bench burst
    """
    tell(lambda: burst(leads), as_json)


@app.command(name="import")
def import_command(
    rows: Annotated[int, typer.Option(min=100, help="Rows of the list.")] = 100_000,
    rate: Annotated[int, typer.Option(min=1, help="Single leads per second meanwhile.")] = 50,
    as_json: Json = False,
) -> None:
    """Import a list while single leads come in: when is its last row qualified, and how long do the others take?

    Example: caudal bench import --rows 100000
    """
    tell(lambda: lists(rows, rate), as_json)


@app.command(name="intake")
def intake_command(
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = 20,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Each posts one lead at a time.")] = 32,
    as_json: Json = False,
) -> None:
    """Single posts answered after the broker's acknowledgement.

    Example: caudal bench intake --seconds 20
    """
    tell(lambda: intake(seconds, connections), as_json)


@app.command(name="batch")
def batch_command(
    seconds: Annotated[int, typer.Option(min=1, help="How long.")] = 20,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Intake processes.")] = 2,
    size: Annotated[int, typer.Option(min=1, max=1000, help="Leads in one post.")] = 1000,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Each posts one batch at a time.")] = 4,
    sdk: Annotated[bool, typer.Option("--sdk", help="To /v1/batch, as Segment's SDKs post.")] = False,
    as_json: Json = False,
) -> None:
    """Posts of many leads each, answered after the broker's acknowledgement.

    Example: caudal bench batch --workers 2 --sdk
    """
    tell(lambda: batch(seconds, workers, size, connections, sdk), as_json)


def tell(measure: Callable[[], dict[str, object]], as_json: bool) -> None:
    """Measure and print, as JSON or as a table; what came in between is said, whatever it was."""
    for asked in ENDS:
        signal.signal(asked, _end)
    try:
        figures = measure()
    except (EmbeddedError, OSError) as error:
        typer.echo(f"no figures: {error}", err=True)
        raise typer.Exit(1) from None
    except Ended as ended:
        typer.echo(f"no figures: {ended.by.name} ended the bench before it was through", err=True)
        raise typer.Exit(128 + ended.by) from None
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    figures_table = table("figure", "value")
    for name, value in figures.items():
        figures_table.add_row(name, json.dumps(value))
    show(figures_table)


class Ended(BaseException):
    """A signal asked for an end. As with `KeyboardInterrupt`, nothing on the way may take it for a failure."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by.name)
        self.by = by


def _end(number: int, _frame: object) -> None:
    for asked in ENDS:
        signal.signal(asked, signal.SIG_IGN)  # from here on everything is being stopped
    raise Ended(signal.Signals(number))
