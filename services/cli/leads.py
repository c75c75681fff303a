"""`caudal lead` and `caudal report`: one lead's whole story, and the figures of all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import psycopg2
import typer
from rich.markup import escape
from rich.table import Table

from services.analytics.reports import render
from services.analytics.reports.catalogue import REPORTS
from services.analytics.reports.question import BadQuestion, question
from services.analytics.timeline import Entry, as_reported, find_leads, timeline
from services.cli.installation import Installation, installation_secret, running
from services.cli.tables import show, table
from services.runtime.postgres import Cursor, connect, transaction

ON_ITS_WAY_S, LOOK_EVERY_S = 3.0, 0.2
UNKNOWN = (
    "no lead is known by that id or address, or not yet. A telephone number is written with its country (+34 600 000 "
    "011), and finds a person only by an enquiry that came without an e-mail address"
)
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def lead(
    term: Annotated[str, typer.Argument(metavar="ID|EMAIL|PHONE", help="A lead, a submission, or a person's address.")],
    as_json: Json = False,
) -> None:
    """Tell the whole story of a lead: every event, each decision with its reasons and its rules.

    An address means all leads of its person, newest first.

    Example: caudal lead ana@example.com
    """
    here = running()
    with analytics(here) as cursor:
        secret = installation_secret(here.home)
        found = soon(lambda: find_leads(cursor, term, secret))
        stories = {lead_id: timeline(cursor, lead_id) for lead_id in found}
    if not stories:
        typer.echo(UNKNOWN, err=True)
    if as_json:
        typer.echo(json.dumps({i: [asdict(e) for e in story] for i, story in stories.items()}, default=str, indent=1))
    else:
        for lead_id, story in stories.items():
            show(story_table(lead_id, story))
    raise typer.Exit(0 if stories else 1)


def soon(look: Callable[[], list[str]], seconds: float = ON_ITS_WAY_S) -> list[str]:
    """What is found once anything is: a lead sent just now is on its way for a moment."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    return found


def report(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(REPORTS)}.")],
    since: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="First UTC day.")] = None,
    until: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="First UTC day left out.")] = None,
    by: Annotated[
        str | None,
        typer.Option(help="One line for each: source, owner, campaign, warmth, origin_type; comma separated."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only these, such as source=website.")
    ] = None,
    as_json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """Count: how far leads got, how fast they were assigned, what became of submissions, what could not be read.

    Example: caudal report funnel --by source,owner --since 2026-01-01
    """
    if name not in REPORTS:
        typer.echo(f"no report {name!r}; there are {', '.join(REPORTS)}", err=True)
        raise typer.Exit(2)
    words = {k: v for k, v in (("since", since), ("until", until), ("by", by)) if v}
    if odd := [pair for pair in where or () if "=" not in pair]:
        typer.echo(f"--where {odd[0]!r} names no value; write it as NAME=VALUE, such as source=website", err=True)
        raise typer.Exit(2)
    words |= dict(pair.split("=", 1) for pair in where or ())
    try:
        asked = question(words, datetime.now(UTC).date())
    except BadQuestion as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    with analytics(running()) as cursor:
        rows = REPORTS[name](cursor, asked)
    if as_json or csv:
        typer.echo(render.as_json(rows) if as_json else render.as_csv(rows), nl=as_json)
    else:
        show(render.as_table(f"{name} {asked.since} to {asked.until}", rows))


@contextmanager
def analytics(here: Installation) -> Iterator[Cursor]:
    """A cursor that reads analytics' tables; a sentence and exit code 1 where they cannot be reached."""
    try:
        session = connect(here.postgres, "analytics", "caudal-cli")
    except psycopg2.OperationalError as error:
        typer.echo(f"PostgreSQL does not answer: {str(error).splitlines()[0]}; see `caudal doctor`", err=True)
        raise typer.Exit(1) from None
    try:
        with transaction(session) as cursor:
            yield cursor
    finally:
        session.close()


def story_table(lead_id: str, story: list[Entry]) -> Table:
    """A lead's events for a terminal."""
    told = table("when (UTC)", "event", "why", "rules", title=f"lead {lead_id}")
    for entry in story:
        why = "\n".join(reason_text(r) for r in entry.reasons) or what(entry)
        told.add_row(f"{entry.recorded_at:%m-%d %H:%M:%S}", entry.type, escape(why), entry.rules_version or "")
    return told


def reason_text(reason: dict[str, object]) -> str:
    """One reason with its points."""
    points = reason.get("points")
    return f"{reason.get('text')}" + (f" ({points:+g})" if isinstance(points, int | float) else "")


def what(entry: Entry) -> str:
    """The one detail that says most about an event without reasons."""
    if as_reported(entry):
        return "as it was reported: refused, or not judged yet"
    for name in ("reason", "stage", "activity", "message", "source"):
        if entry.data.get(name):
            return f"{name}: {entry.data[name]}"
    return ""
