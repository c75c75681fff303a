"""`caudal import` and `caudal imports`: a list from a file, at any size, to be paused and gone on with at will."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from services.cli import importjob, importshow
from services.cli.installation import Installation, home, running
from services.cli.tables import plain, show
from services.intake.files.faults import FileRefused
from services.intake.files.jobs import Job, all_runs, job_name, read_job
from services.intake.files.mapping import targets
from services.intake.readers import READERS
from services.intake.sources.source import Accepts
from services.runtime.errors import Unavailable


def import_file(
    file: Annotated[Path | None, typer.Argument(help="CSV, TSV, XLSX, XLS, ODS, JSON lines, vCard or ADF.")] = None,
    source: Annotated[str, typer.Option(help="Whose list it is: a source of the book `sources`.")] = "",
    list_name: Annotated[str, typer.Option("--list", help="Name of the list; by default the file's.")] = "",
    what: Annotated[str, typer.Option("--as", help="leads, activities, consents, outcomes, results.")] = "leads",
    columns: Annotated[list[str] | None, typer.Option("--map", help='"Column=field", "Column=-" to leave out.')] = None,
    given: Annotated[list[str] | None, typer.Option("--set", help="field=value, where a row says none.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Campaign of rows that name none.")] = None,
    channel: Annotated[str | None, typer.Option(help="Channel of rows that name none.")] = None,
    cost: Annotated[float | None, typer.Option(min=0, help="What the list cost, shared over its good rows.")] = None,
    cost_per_lead: Annotated[float | None, typer.Option(min=0, help="What each row cost.")] = None,
    currency: Annotated[str, typer.Option(help="Three letters.")] = "EUR",
    sheet: Annotated[str | None, typer.Option(help="Name or number; by default the first that is a list.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252; by default it is found out.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="One character, or tab; by default it is found out.")] = None,
    preview: Annotated[bool, typer.Option(help="Show the first rows as they will be read; send nothing.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Read the whole file and count; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="JOB", help="Go on with a job of `caudal imports`.")] = None,
) -> None:
    """Import a list: shows how its columns are read, asks, sends. The same command again sends only what is new.

    Example: caudal import fair.xlsx --source fair --map "Stand=-" --cost 250
    """
    here = running()
    try:
        if resume:
            job, yes = _known_job(here.home, resume), True
        else:
            options = {"sheet": sheet, "encoding": encoding, "delimiter": delimiter, "campaign": campaign,
                       "channel": channel}  # fmt: skip
            job = _job(file, source, list_name, what, options)
            job = job.model_copy(update={
                "given": _pairs(columns, "--map"), "defaults": _pairs(given, "--set"), "cost": cost,
                "cost_per_row": cost_per_lead, "currency": _currency(currency, cost, cost_per_lead)})  # fmt: skip
            _check_defaults(job)
        _import(here, job, preview, dry_run, yes)
    except (FileRefused, Unavailable) as error:
        _stop(str(error), 1)


def imports() -> None:
    """Show the imports of this installation run by run, the last begun first.

    Example: caudal imports
    """
    try:
        runs = all_runs(home())
    except FileRefused as error:
        _stop(str(error), 1)
    if not runs:
        typer.echo("nothing was imported here yet: caudal import FILE --source NAME")
        return
    show(importshow.runs_table(runs))


def _import(here: Installation, job: Job, preview: bool, dry_run: bool, yes: bool) -> None:
    with importjob.prepared(here, job) as ready:
        show(importshow.layout_line(ready))
        if ready.layout.columns:
            show(importshow.mapping_table(ready.mapped))
        if preview or not (yes or dry_run):
            show(importshow.preview_table(ready))
        if preview:
            return
        if dry_run:
            counts, examples = importjob.counted(ready)
            show(importshow.outcome(counts, job, dry_run=True, examples=examples))
            return
        if not yes:
            _ask()
        done = importjob.carried_out(here, ready)
    show(importshow.outcome(done.counts, done, folder=done.folder(here.home)))
    if done.state != "done":
        raise typer.Exit(130 if done.state == "paused" else 1)


def _ask() -> None:
    if not sys.stdin.isatty():
        _stop("nothing is sent without a yes: add --yes, or --dry-run to count only", 2)
    if not typer.confirm("send it?"):
        raise typer.Exit(1)


def _job(file: Path | None, source: str, list_name: str, what: str, options: dict[str, str | None]) -> Job:
    if not file or not source:
        _stop("name the file and its source: caudal import FILE --source NAME", 2)
    kind: Accepts | None = next((known for known in READERS if known == what), None)
    if kind is None:
        _stop(f"--as is one of {', '.join(READERS)}, not {what!r}", 2)
    now, name = datetime.now(UTC), (list_name or file.name.removesuffix(file.suffix) or file.name)[:100]
    return Job(
        name=job_name(source, kind, name), file=str(file.absolute()), source=source, what=kind,
        list_name=name, options=options, started_at=now, updated_at=now,
    )  # fmt: skip


def _known_job(folder: Path, name: str) -> Job:
    job = read_job(folder, name)
    if job is None:
        _stop(f"no job {name!r}; `caudal imports` lists them", 1)
    if job.state == "done" and not Path(job.file).exists():  # mended rejects, which are gone once they are sent
        _stop(f"the last run of {name!r} is done: nothing of it is left to go on with", 1)
    return job


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    """`name=value` words; the last `=` of a column's name counts, since titles may hold one."""
    found = {}
    for word in words or ():
        name, equals, value = word.rpartition("=") if option == "--map" else word.partition("=")
        if not equals or not name.strip():
            _stop(f"{option} takes NAME=VALUE, not {word!r}", 2)
        found[name.strip()] = value.strip()
    return found


def _check_defaults(job: Job) -> None:
    unknown = job.defaults.keys() - targets(job.what)
    if unknown:
        _stop(f"--set: no field {', '.join(sorted(unknown))}; the fields are {', '.join(sorted(targets(job.what)))}", 2)


def _currency(currency: str, *costs: float | None) -> str | None:
    if all(cost is None for cost in costs):
        return None
    if all(cost is not None for cost in costs):
        _stop("give either --cost, of the whole list, or --cost-per-lead", 2)
    if len(currency) != 3 or not currency.isalpha():
        _stop(f"--currency takes three letters such as EUR, not {currency!r}", 2)
    return currency.upper()


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(plain(sentence), err=True)
    raise typer.Exit(code)
