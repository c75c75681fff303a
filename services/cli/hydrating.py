"""`caudal sources hydrate|retry|backfill`: leads that sources tell by id only."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from schemas import codec
from services.cli import books
from services.cli.configured import configured
from services.cli.installation import Installation, running
from services.cli.intaketables import NotYet, intake_tables
from services.cli.rules import log_reached
from services.cli.sourcesecrets import secrets_file
from services.cli.tables import show, table
from services.intake.hydrate import apis, store
from services.intake.hydrate.answer import Gone
from services.intake.hydrate.backfill import notices, patient
from services.intake.hydrate.http import getter
from services.intake.outside import allowed
from services.intake.settings import IntakeSettings
from services.intake.sources.secrets import SourceSecrets
from services.intake.sources.source import Source
from services.runtime.errors import CaudalError, Unavailable
from services.runtime.kafka.producer import LogProducer
from services.runtime.postgres import Cursor
from services.runtime.transport import Message
from services.runtime.verdict import Outgoing

STATES = ("pending", "retrying", "parked", "dead", "gone", "done")
AT_ONCE = 500
DAYS = ["%Y-%m-%d"]


def hydrate() -> None:
    """Show for each source how many of its leads wait to be read, are read, or could not be, and why.

    Example: caudal sources hydrate
    """
    with _queue(running()) as cursor:
        shares = store.overview(cursor)
    if not shares:
        typer.echo("no source has told a lead by its id only yet")
        return
    listed = table("source", *STATES, "oldest", "why")
    for source in sorted({share.source for share in shares}):
        own = [share for share in shares if share.source == source]
        counts = Counter[str]()
        for share in own:
            counts[share.state] += share.leads
        oldest = min((share.oldest for share in own if share.oldest), default=None)
        why = "; ".join(f"{share.leads:,} {share.state}: {share.why}" for share in own if share.why)
        numbers = [f"{counts[state]:,}" for state in STATES]
        listed.add_row(source, *numbers, f"{oldest:%Y-%m-%d %H:%M:%S} UTC" if oldest else "", why)
    show(listed)


def retry(source: Annotated[str, typer.Argument(help="Name of the source.")]) -> None:
    """Ask again for the leads of a source that were given up.

    Example: caudal sources retry meta-spain
    """
    here = running()
    with _queue(here) as cursor:
        count = store.retry(cursor, source)
    if not count:
        with log_reached():
            _known(here, source)
    typer.echo(f"{count:,} leads of {source} are asked for again" if count else f"no lead of {source} was given up")


def backfill(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    first: Annotated[datetime, typer.Option("--from", formats=DAYS, help="First day, UTC.")],
    last: Annotated[datetime, typer.Option("--to", formats=DAYS, help="Last day, UTC; the whole of it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--of", help="Meta: id of a form (none: all of the page). LinkedIn: URN of an account; needed."),
    ] = None,
) -> None:
    """List the leads of some days at their source, and read those that no notice told of. Twice adds nothing.

    Example: caudal sources backfill meta-spain --from 2026-11-01 --to 2026-11-20
    """
    if last < first:
        raise _no(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    here = running()
    try:
        known = _known(here, source)
        count, wrong = _told(here, known, first.replace(tzinfo=UTC), last.replace(tzinfo=UTC), tuple(scope or ()))
    except CaudalError as error:
        raise _no(f"{error}; the same again once that is mended: twice adds nothing") from None
    typer.echo(f"{count:,} leads of {source} told; those not read yet are read now: caudal sources hydrate")
    if wrong:
        raise _no(f"{source} then answered: {wrong}; the same again once that is mended: twice adds nothing")


def _known(here: Installation, name: str) -> Source:
    book = books.in_force(list(books.history(here.kafka)), "sources")
    source: Source | None = book.rules.sources.get(name) if book else None
    if source is None:
        raise _no(f"book sources has no source {name}; look with `caudal rules history sources`")
    if source.hydrate is None:
        raise _no(f"source {name} has no `hydrate` in book sources: nothing can be listed there")
    return source


def _told(
    here: Installation, source: Source, first: datetime, last: datetime, scope: tuple[str, ...]
) -> tuple[int, str]:
    """Publish a notice for each lead; how many, and what went wrong then."""
    assert source.hydrate is not None, "asked before"  # noqa: S101  # narrows the type
    if source.hydrate.api == "linkedin" and not scope:
        raise _no("LinkedIn lists leads by account: name each with --of urn:li:sponsoredAccount:123")
    secrets = SourceSecrets(str(secrets_file()))
    token = next(iter(secrets.of(source.name, "token")), None)
    if token is None:
        raise _no(f"source {source.name} has no token; keep one with `caudal sources secret {source.name} token`")
    settings = configured(IntakeSettings, "hydrate_timeout_s", "outbound_allow")
    get = getter(settings.hydrate_timeout_s, allowed(settings.outbound_allow))
    proving = apis.proving(get, source.hydrate, token, secrets.of(source.name))
    waiting = patient(proving, source.hydrate, lambda: datetime.now(UTC), _wait)
    until = last + timedelta(days=1)
    return _published(here, notices(waiting, source, token, scope, first, until, datetime.now(UTC)))


def _published(here: Installation, found: Iterator[object]) -> tuple[int, str]:
    count, wrong = 0, ""
    with closing(LogProducer(here.kafka, "caudal-cli")) as producer:
        while batch := list(islice(found, AT_ONCE)):
            messages = [_message(event) for event in batch if isinstance(event, Outgoing)]
            producer.publish(messages, lambda: True)
            count += len(messages)
            wrong = next((_words(one) for one in batch if not isinstance(one, Outgoing)), wrong)
    return count, wrong


def _message(event: Outgoing) -> Message:
    headers = codec.write(event.id, event.type, "caudal/cli")
    return Message(event.topic.name, event.key.encode(), (event.value or "").encode(), headers)


def _words(problem: object) -> str:
    return "gone" if isinstance(problem, Gone) else str(getattr(problem, "detail", problem))


def _wait(seconds: float) -> None:
    typer.echo(f"the API asks to wait {seconds:.0f} s", err=True)
    time.sleep(seconds)


@contextmanager
def _queue(here: Installation) -> Iterator[Cursor]:
    """Intake's tables; a sentence and exit code 1 where they are not there or not to be reached."""
    try:
        with intake_tables(here.postgres) as cursor:
            yield cursor
    except NotYet as error:
        raise _no(str(error)) from None
    except Unavailable as error:
        raise _no(f"PostgreSQL: {error}; see `caudal doctor`") from None


def _no(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(1)
