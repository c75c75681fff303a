"""`caudal rules`: check, publish, history, rollback."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from services.cli import books
from services.cli.installation import is_known, running
from services.cli.keptkeys import Kept, going_back, keeping_keys
from services.cli.tables import show, table
from services.intake.rules import SourceRules
from services.runtime.errors import CaudalError, RulesInvalid
from services.runtime.rulebook import book_version, parse_book, refuse_names_twice

app = typer.Typer(
    no_args_is_help=True, help="Rule books: scoring, routing, nurture, sources. Example: caudal rules history"
)
out = Console(highlight=False, soft_wrap=True)
BOOKS = ", ".join(books.MODELS)
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The book as YAML, usually <book>.yaml.")]
BookName = Annotated[str | None, typer.Option("--book", help="Which book it is, where the file's name does not tell.")]


@app.command()
def check(file: File, book: BookName = None) -> None:
    """Say whether a rule book can be used; errors name file, line and remedy.

    Where Caudal runs it says what publishing book `sources` would do to keys, too.

    Example: caudal rules check deploy/rules/scoring.yaml
    """
    name, version, body = _read(file, book)
    if name == "sources" and is_known():
        with log_reached():
            version = book_version(name, _with_kept_keys(running().kafka, body))
    out.print(f"{file} can be used as book {name}; it would be version {version}", markup=False)


@app.command()
def publish(
    file: File, book: BookName = None, note: Annotated[str | None, typer.Option(help="Why, for the history.")] = None
) -> None:
    """Publish a book and put it in force; every service follows within about a second.

    A source without `keys:` in the text keeps the keys that it has; `keys: []` closes it.

    Example: caudal rules publish deploy/rules/routing.yaml --note "Ana is back"
    """
    name, _, body = _read(file, book)
    kafka = running().kafka
    with log_reached():
        if name == "sources":
            body = _with_kept_keys(kafka, body)
        version = books.publish(kafka, name, body, getpass.getuser(), note)
    out.print(f"book {name}: version {version} is in force", markup=False)


@app.command()
def history(book: Annotated[str | None, typer.Argument(help="Only this book.")] = None) -> None:
    """Show what was published and activated, when and by whom.

    Example: caudal rules history scoring
    """
    if book is not None:
        _known(book)
    entries = _history(running().kafka)
    latest = {e.book: e for e in entries if e.what == "activated"}
    listed = table("when (UTC)", "book", "version", "what", "by", "note")
    for e in entries:
        if book in (None, e.book):
            what = f"{e.what} (in force)" if latest.get(e.book) is e else e.what
            listed.add_row(f"{e.at:%Y-%m-%d %H:%M:%S}", e.book, e.version, what, escape(e.author), escape(e.note or ""))
    show(listed)


@app.command()
def rollback(
    book: Annotated[str, typer.Argument(help="Name of the book.")],
    version: Annotated[
        str | None, typer.Argument(help="Version to go back to; without: the one in force before.")
    ] = None,
    old_keys: Annotated[
        bool, typer.Option("--old-keys", help="Sources: with the keys of then, also those taken away since.")
    ] = False,
) -> None:
    """Put an earlier version in force again. Nothing is rewritten: the pointer moves.

    Sources have the keys in force now, not those of then, which may have leaked: that is a version of its own.

    Example: caudal rules rollback routing
    """
    _known(book)
    here = running()
    entries = _history(here.kafka)
    activated = [e.version for e in entries if e.book == book and e.what == "activated"]
    target = version or before(activated)
    if target is None or target not in activated:
        which = f"no version {version} that was ever in force" if version else "no version before the one in force"
        _stop(f"book {book} has {which}; `caudal rules history {book}` lists them", 1)
    with log_reached():
        if book == "sources" and not old_keys:
            body, note = _with_keys_of_now(entries, target), f"rollback to {target}"
            target = books.publish(here.kafka, book, body, getpass.getuser(), note)
        else:
            books.activate(here.kafka, book, target, getpass.getuser(), "rollback")
    out.print(f"book {book}: version {target} is in force", markup=False)


def before(activated: Sequence[str]) -> str | None:
    """The version that was in force before the present one, of those activated in this order."""
    return next((version for version in reversed(activated) if version != activated[-1]), None)


@contextmanager
def log_reached() -> Iterator[None]:
    """A sentence and exit code 1 where Kafka does not answer."""
    try:
        yield
    except CaudalError as error:
        _stop(f"{error}; see `caudal doctor`", 1)


def _history(servers: str) -> list[books.Entry]:
    with log_reached():
        return list(books.history(servers))


def _with_kept_keys(kafka: str, body: str) -> str:
    """The text with the keys that its sources keep; says who keeps, changes and loses them."""
    entries = books.patiently(lambda: list(books.history(kafka)))
    try:
        before = books.in_force(entries, "sources")
        kept = keeping_keys(body, before.rules) if before else Kept(body)
    except RulesInvalid as error:
        _stop(str(error), 1)
    _print_keys(kept.keeping, "keeping their keys, of which this text says nothing")
    _print_keys(kept.changed, "with keys other than those in force")
    _print_keys(kept.closed, "with no keys any more")
    return kept.body


def _with_keys_of_now(entries: Sequence[books.Entry], version: str) -> str:
    """The text of an earlier version with the keys in force; says who keeps keys, and who comes back closed."""
    body = books.text_of(entries, "sources", version)
    if body is None:
        _stop(f"the text of version {version} is not known; `caudal rules publish` it from its file", 1)
    try:
        now = books.in_force(entries, "sources")
        kept = going_back(body, now.rules if now else SourceRules(sources={}))
    except RulesInvalid as error:
        _stop(str(error), 1)
    _print_keys(kept.keeping, f"keeping the keys in force, not those of {version}")
    _print_keys(
        kept.closed, "without a key now, so closed (`caudal sources key` makes one; --old-keys brings back all)"
    )
    return kept.body


def _print_keys(names: Sequence[str], what: str) -> None:
    if names:
        out.print(f"{len(names)} source{'s' * (len(names) > 1)} {what}: {', '.join(names)}", markup=False)


def _read(file: Path, book: str | None) -> tuple[str, str, str]:
    """Name, version and text of the book in a file; a sentence and exit code 1 where it cannot be used."""
    try:
        body = file.read_text(encoding="utf-8")
        name = _known(book) if book else _named(file)
        version = parse_book(name, body, books.MODELS[name], str(file)).version
        refuse_names_twice(name, body, str(file))
        return name, version, body
    except UnicodeDecodeError as error:
        _stop(f"{file} is not text in UTF-8 (at byte {error.start}); save it as UTF-8", 1)
    except CaudalError as error:
        _stop(str(error), 1)


def _named(file: Path) -> str:
    """The book that the file's name tells, also of a copy such as `my-scoring.yaml`; else a sentence, exit code 2."""
    words = re.split(r"[^a-z]+", file.stem.lower())
    found = [name for name in books.MODELS if name in words]
    if len(found) != 1:
        _stop(f"{file}: its name does not tell which book it is; say --book with one of {BOOKS}", 2)
    return found[0]


def _known(book: str) -> str:
    if book not in books.MODELS:
        _stop(f"there is no book {book!r}; the books are {BOOKS}", 2)
    return book


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
