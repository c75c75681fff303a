"""`caudal demo`: a sample day on this machine, with a sample CRM at the other end."""

from __future__ import annotations

import time
from typing import Annotated

import psutil
import typer

from deploy.embedded.errors import EmbeddedError
from services.cli.installation import Stopped, home
from services.cli.stage import alone, installation
from services.runtime.errors import CaudalError

DAY_S = 75.0


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="As fast as it goes; end when the day is through.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --exit: the result for programs.")] = False,
    leads: Annotated[int, typer.Option(help="People who become leads.", min=10, max=100_000)] = 5000,
    minutes: Annotated[float, typer.Option(help="How long the day takes.", min=0.1)] = DAY_S / 60,
) -> None:
    """Play a sample day: all sources send, a sample CRM answers, mails are caught and shown. Ctrl-C ends it.

    Example: caudal demo
    """
    if as_json and not leave:
        typer.echo("--json prints the result of a day that ends: say --exit too", err=True)
        raise typer.Exit(2)
    began, code, watching = time.monotonic() - (time.time() - psutil.Process().create_time()), 0, False
    try:
        with alone(home()), installation() as (opened, ours):
            from services.cli.sampleday import next_day, through, watched  # here: imported while Kafka boots

            parcels, here = next_day(leads), opened()
            if leave:
                code = through(here, parcels, began, as_json)
            else:
                watching = True
                watched(here, parcels, minutes * 60, began, hurry=ours)
    except (EmbeddedError, CaudalError) as error:
        typer.echo(str(error), err=True)
        code = 0 if watching and isinstance(error, Stopped) else 1
    except SystemExit as asked:  # by a signal: the usual end for one who watches
        code = 0 if watching else int(asked.code or 0)
    raise typer.Exit(code)
