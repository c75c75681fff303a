"""`caudal verify`: whether nothing was lost, done twice or counted wrong."""

from __future__ import annotations

import json
from typing import Annotated

import psycopg2
import typer

from services.cli.installation import running
from services.cli.tables import show
from services.cli.verification.oracle import verify as compare
from services.runtime.errors import CaudalError


def verify(
    wait: Annotated[bool, typer.Option("--wait", help="First wait until nothing is on its way.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write the current state of keys that end stale on compacted topics.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Longest wait in seconds.", min=1)] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: all figures and all ids.")] = False,
) -> None:
    """Compare the ledger of acknowledged submissions, the whole log and all tables.

    Exit code 1 where a rule is broken, 2 where there is no answer.

    Example: caudal verify --wait
    """
    here = running()
    try:
        report = compare(here, wait=wait, repair=repair, timeout_s=timeout)
    except (CaudalError, psycopg2.Error) as error:
        typer.echo(f"{type(error).__name__}: {str(error).splitlines()[0]}; see `caudal doctor`", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        show(report.as_tables())
    raise typer.Exit(1 if report.violations else 0)
