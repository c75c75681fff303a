"""`caudal rules`: check, publish, history, rollback."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli import books
from services.cli.installation import running
from services.cli.tables import show, table
from services.runtime.errors import CaudalError
from services.runtime.rulebook import parse_book

app = typer.Typer(
    no_args_is_help=True, help="Rule books: scoring, routing, nurture, sources. Example: caudal rules history"
)
out = Console(highlight=False)
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The book as YAML, named <book>.yaml.")]
BookName = Annotated[str | None, typer.Option("--book", help="Name of the book, where the file is named otherwise.")]


@app.command()
def check(file: File, book: BookName = None) -> None:
    """Say whether a rule book can be used; errors name file, line and remedy.

    Example: caudal rules check deploy/rules/scoring.yaml
    """
    name = _book_name(file, book)
    try:
        version = parse_book(name, file.read_text(encoding="utf-8"), books.MODELS[name], str(file)).version
    except (CaudalError, UnicodeDecodeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    out.print(f"{file}: good, would be version {version}")


@app.command()
def publish(
    file: File, book: BookName = None, note: Annotated[str | None, typer.Option(help="Why, for the history.")] = None
) -> None:
    """Publish a book and put it in force; every service follows within about a second.

    Example: caudal rules publish deploy/rules/routing.yaml --note "Ana is back"
    """
    check(file, book)
    body = file.read_text(encoding="utf-8")
    version = books.publish(running().kafka, _book_name(file, book), body, getpass.getuser(), note)
    out.print(f"in force: {version}")


@app.command()
def history(book: Annotated[str | None, typer.Argument(help="Only this book.")] = None) -> None:
    """Show what was published and activated, when and by whom.

    Example: caudal rules history scoring
    """
    entries = list(books.history(running().kafka))
    active = books.active_versions(entries)
    entries_table = table("when", "book", "version", "what", "by", "note")
    for e in entries:
        if book in (None, e.book):
            mark = " (in force)" if e.what == "activated" and active[e.book] == e.version else ""
            entries_table.add_row(f"{e.at:%Y-%m-%d %H:%M:%S}", e.book, e.version, e.what + mark, e.author, e.note or "")
    show(entries_table)


@app.command()
def rollback(
    book: Annotated[str, typer.Argument(help="Name of the book.")],
    version: Annotated[
        str | None, typer.Argument(help="Version to go back to; without: the one in force before.")
    ] = None,
) -> None:
    """Put an earlier version in force again. Nothing is rewritten: the pointer moves.

    Example: caudal rules rollback routing
    """
    here = running()
    activated = [e.version for e in books.history(here.kafka) if e.book == book and e.what == "activated"]
    earlier = [v for v in activated if v != (activated[-1] if activated else None)]
    target = version or (earlier[-1] if earlier else None)
    if target is None or target not in activated:
        typer.echo(f"book {book!r} has no earlier version {version or ''}; see `caudal rules history {book}`", err=True)
        raise typer.Exit(1)
    books.activate(here.kafka, book, target, getpass.getuser(), "rollback")
    out.print(f"in force: {target}")


def _book_name(file: Path, book: str | None) -> str:
    name = book or file.stem
    if name not in books.MODELS:
        typer.echo(f"{file}: no book {name!r}; the books are {', '.join(books.MODELS)} (or say --book)", err=True)
        raise typer.Exit(2)
    return name
