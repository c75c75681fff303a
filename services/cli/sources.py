"""`caudal sources`: who sends leads, how each proves who it is, what a body of theirs would become."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from services.cli import books, hydrating
from services.cli.capsleft import caps_left
from services.cli.configured import configured
from services.cli.installation import home, is_known, running, source_keys
from services.cli.ports import read_ports
from services.cli.rules import log_reached
from services.cli.sourcesecrets import PARTS, keep_secret, new_secret, read_secrets, secrets_file, still_due
from services.cli.sourcetrial import Trial, tried
from services.cli.tables import show as show_table
from services.cli.tables import table
from services.intake.keys import START, new_key
from services.intake.settings import IntakeSettings
from services.intake.sources.presets import presets
from services.intake.sources.source import Source
from services.runtime.errors import CaudalError
from services.runtime.rulebook import parse_book, refuse_names_twice

app = typer.Typer(no_args_is_help=True, help="Who sends leads, and how. Example: caudal sources list")
out = Console(highlight=False, soft_wrap=True)
Name = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source.")]
BookFile = Annotated[
    Path | None, typer.Option("--file", exists=True, dir_okay=False, help="Not the book in force, but this one.")
]


@app.command("list")
def list_sources(file: BookFile = None) -> None:
    """List every source: kind, preset, what it may send, how it proves who it is, whether it can yet.

    Example: caudal sources list
    """
    found, kept = _sources(file), read_secrets(secrets_file())
    listed = table("source", "kind", "preset", "verified", "accepts", "proves itself by", "ready")
    for name, source in sorted(found.items()):
        verified = "" if source.preset is None else "yes" if presets()[source.preset].verified else "no"
        row = (name, source.kind, source.preset or "", verified, ", ".join(source.accepts), _proof(source))
        listed.add_row(*map(escape, row), _ready(source, kept.get(name, {})))
    show_table(listed)


@app.command()
def show(source: Name, file: BookFile = None) -> None:
    """Show a source with all that its preset gives it, and its address.

    Example: caudal sources show website
    """
    found = _known(_sources(file), source)
    settings = found.model_dump(mode="json", exclude_none=True, exclude={"name", "keys"})
    told: dict[str, Any] = {name: value for name, value in settings.items() if value not in ([], {}, False)}
    told["keys"] = [f"cdl_{key.prefix}_..." for key in found.keys]
    if found.kind == "http":
        out.print(f"address: {_address(found)}   (a browser sees there how to post)", markup=False)
    if found.preset:
        out.print(f"set-up:  {presets()[found.preset].how}", markup=False)
    out.print(f"proof:   {_proof(found)}; {_ready(found, read_secrets(secrets_file()).get(source, {}))}", markup=False)
    for line in caps_left(running().postgres, found) if found.caps and file is None and is_known() else ():
        out.print(f"cap:     {line}", markup=False)
    out.print(yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=110), markup=False, end="")


@app.command("test")
def try_body(
    source: Name,
    body: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A body as it is sent.")],
    path: Annotated[str, typer.Option(help="What follows the source's address, where that says something.")] = "",
    file: BookFile = None,
) -> None:
    """Print what a body would become at a source: fields, answers, quality, warnings. Nothing is sent.

    Example: caudal sources test website lead.json
    """
    found = _known(_sources(file), source)
    trials = tried(found, body.read_bytes(), body.suffix.lower(), path.strip("/"), datetime.now(UTC))
    for n, trial in enumerate(trials, 1):
        _print_trial(n, len(trials), trial)
    if not trials:
        out.print("the body holds no item: it would be answered 200, and nothing kept")
    if any(trial.kind == "refused" for trial in trials):
        raise typer.Exit(1)


@app.command()
def secret(
    source: Name,
    part: Annotated[str, typer.Argument(help="secret (signatures), verify (Meta's handshake), token (an API).")] = (
        "secret"
    ),
    only: Annotated[bool, typer.Option("--only", help="From now on only this one: the one before is dropped.")] = False,
    make: Annotated[bool, typer.Option("--make", help="Make a random one, and show it once.")] = False,
) -> None:
    """Keep a source's secret: asked for without echo, or read from a pipe. The one before stays valid beside it.

    Example: caudal sources secret typeform-spain
    """
    if part not in PARTS:
        _stop(f"there is no part {part!r} of a source's secrets; the parts are {', '.join(PARTS)}", 2)
    known = _sources_where_known()
    found = _known(known, source) if known is not None else None
    value = new_secret(found) if make else _asked(source, part)
    count = keep_secret(secrets_file(), source, part, value, only)
    if make:
        out.print(f"{part} of {source}, give it to the sender and keep no copy:\n  {value}", markup=False)
    before = "; the one before stays valid until you run this again with --only" if count > 1 else ""
    out.print(f"{part} of {source} is kept in {secrets_file()}{before}", markup=False)
    if found is not None and (due := _due(found, read_secrets(secrets_file()).get(source, {}))):
        out.print(f"still due: {due}", markup=False)
    if found is not None and part == "secret" and found.signature is None:
        out.print(f"{source} has no signature: it proves itself by a key, and this secret is not asked for")


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
    out.print("then: caudal rules publish deploy/rules/sources.yaml; sources without `keys:` keep those they have")


@app.command()
def keys() -> None:
    """Show the keys that `caudal up` made for the default sources of this machine, and which are not in force any more.

    Example: caudal sources keys
    """
    known = _sources_where_known() or {}
    valid = {one.prefix for source in known.values() for one in source.keys}
    for source, text in source_keys(home()).items():
        gone = known and text.removeprefix(START).partition("_")[0] not in valid
        out.print(f"{source:<15} {text}{'  not in force any more' if gone else ''}", markup=False)


app.command("hydrate")(hydrating.hydrate)
app.command("retry")(hydrating.retry)
app.command("backfill")(hydrating.backfill)


def _sources(file: Path | None) -> Mapping[str, Source]:
    """The sources of a book in a file, or of the one in force here; where nothing runs, of the default one."""
    if file is not None:
        try:
            body = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            _stop(f"{file} is not text in UTF-8 (at byte {error.start}); save it as UTF-8", 1)
        return _parsed(body, str(file))
    found = _sources_where_known()
    if found is not None:
        return found
    typer.echo("Caudal does not run here: these are the sources of the default book.", err=True)
    return _parsed(books.default_body("sources"), "the default book")


def _sources_where_known() -> Mapping[str, Source] | None:
    """The sources of the book in force; None where nothing runs here."""
    if not is_known():
        return None
    with log_reached():
        book = books.in_force(list(books.history(running().kafka)), "sources")
    return dict(book.rules.sources) if book else {}


def _parsed(body: str, where: str) -> Mapping[str, Source]:
    try:
        found: Mapping[str, Source] = parse_book("sources", body, books.MODELS["sources"], where).rules.sources
        refuse_names_twice("sources", body, where)
    except CaudalError as error:
        _stop(str(error), 1)
    return found


def _known(found: Mapping[str, Source], name: str) -> Source:
    if name not in found:
        _stop(f"there is no source {name!r}; the sources are {', '.join(sorted(found))}", 2)
    return found[name]


def _proof(source: Source) -> str:
    if source.kind != "http":
        return "whoever may write its topic" if source.kind == "kafka" else "whoever may put its files"
    return f"signature {source.signature.scheme}" if source.signature else "key"


def _ready(source: Source, kept: Mapping[str, list[str]]) -> str:
    """Whether it can prove itself yet, and what to do if not."""
    if source.kind != "http":
        return "yes"
    if source.signature is None:
        return f"yes, {len(source.keys)} key{'s' * (len(source.keys) > 1)}" if source.keys else "no key: closed"
    count, due = len(kept.get("secret", ())), _due(source, kept)
    return f"no: {due}" if due else f"yes, {count} secret{'s' * (count > 1)}"


def _due(source: Source, kept: Mapping[str, list[str]]) -> str:
    """The commands that keep what is still due of a source's secrets; empty where nothing is."""
    parts = [part if part != "secret" else "" for part in still_due(source, kept)]
    return ", ".join(f"caudal sources secret {source.name} {part}".rstrip() for part in parts)


def _address(source: Source) -> str:
    settings = configured(IntakeSettings, "public_url")
    given = "public_url" in settings.model_fields_set
    start = settings.public_url.rstrip("/") if given else f"http://127.0.0.1:{read_ports(home()).intake}"
    return f"{start}/in/{source.name}"


def _asked(source: str, part: str) -> str:
    value = getpass.getpass(f"{part} of {source}: ") if sys.stdin.isatty() else sys.stdin.read()
    if not value.strip():
        _stop("nothing was given: type the value, or pipe it in", 2)
    return value.strip()


def _print_trial(n: int, of: int, trial: Trial) -> None:
    out.print(f"item {n} of {of}: {trial.kind}", markup=False)
    told = yaml.safe_dump(dict(trial.content), allow_unicode=True, sort_keys=False, width=110)
    out.print("".join(f"  {line}\n" for line in told.splitlines()), markup=False, end="")
    for warning in trial.warnings:
        out.print(f"  warning: {warning}", markup=False)


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
