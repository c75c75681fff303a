"""`caudal demo`: a sample day on this machine, with a sample CRM at the other end."""

from __future__ import annotations

import signal
import time
from typing import Annotated

import psutil
import typer

from deploy.embedded.errors import EmbeddedError
from services.cli.stage import installation
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
    began, code = time.monotonic() - (time.time() - psutil.Process().create_time()), 0
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.default_int_handler)
    try:
        with installation() as (opened, ours):
            from services.cli.sampleday import next_day, through, watched  # here: imported while Kafka boots

            parcels = next_day(leads)
            if leave:
                code = through(opened(), parcels, began, as_json)
            else:
                watched(opened(), parcels, minutes * 60, began, hurry=ours)
    except (EmbeddedError, CaudalError) as error:
        typer.echo(str(error), err=True)
        code = 1
    except KeyboardInterrupt:
        code = 130 if leave else 0
    raise typer.Exit(code)
