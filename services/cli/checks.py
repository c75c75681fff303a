"""`caudal topics` and `caudal doctor`: what is declared, and whether this machine and installation are well."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg2
import typer
from rich.console import Console

from deploy.embedded import kafka
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import read_state
from schemas.topics import Topic, all_topics
from services.cli import books
from services.cli.installation import home, running
from services.cli.ports import answers
from services.cli.tables import show, table
from services.runtime.errors import CaudalError
from services.runtime.kafka import Reader
from services.runtime.settings import RuntimeSettings

out = Console(highlight=False)
MIN_FREE_GB = 8  # so that PostgreSQL's log may grow to its full size


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do where it is not well."""

    what: str
    well: bool
    remedy: str = ""


def topics() -> None:
    """List the topics: key, events, who writes and reads, how long records stay.

    Example: caudal topics
    """
    settings = RuntimeSettings()
    listed = table("topic", "key", "events", "written by", "read by", "kept")
    for topic in all_topics(settings.source_names(), settings.destination_names()):
        events = ", ".join(topic.events) or "theirs"
        listed.add_row(topic.name, topic.key, events, ", ".join(topic.writers), ", ".join(topic.readers), kept(topic))
    show(listed)


def kept(topic: Topic) -> str:
    """How long records stay on a topic."""
    if topic.compacted:
        return "last of each key"
    return "for ever" if topic.retention_days is None else f"{topic.retention_days} days"


def doctor() -> None:
    """Check this machine and the installation that runs here; exit code 1 where something is not well.

    Example: caudal doctor
    """
    findings = [*machine(), *installation()]
    for f in findings:
        out.print(
            f"[{'green' if f.well else 'red'}]{'ok  ' if f.well else 'MEND'}[/] {f.what}"
            + (f": {f.remedy}" if not f.well else "")
        )
    raise typer.Exit(0 if all(f.well for f in findings) else 1)


def machine() -> Iterator[Finding]:
    """What this machine must have."""
    yield Finding(f"Python {sys.version.split()[0]}", sys.version_info >= (3, 11), "use Python 3.11 or newer")
    crc = importlib.util.find_spec("crc32c") is not None
    yield Finding(
        "crc32c wheel", crc, "pip install 'kafka-python[crc32c]'; without it Kafka costs 3 to 9 times the CPU"
    )
    folder = next(place for place in (home(), *home().parents) if place.exists())
    free = shutil.disk_usage(folder).free / 2**30
    yield Finding(f"{free:.0f} GB free for {folder}", free > MIN_FREE_GB, "free some space or set CAUDAL_HOME")


def installation() -> Iterator[Finding]:
    """Whether what runs here answers."""
    settings = EmbeddedSettings()
    if read_state(home()) is None and not (settings.kafka and settings.postgres):
        yield Finding("installation", False, "nothing runs here; start it with `caudal up`")
        return
    here, logs = running(), home() / "logs"
    ports = here.ports
    log = tried(f"Kafka {here.kafka}", lambda: _topics_exist(here.kafka), f"see {home() / 'kafka' / 'kafka.log'}")
    yield log
    yield tried(
        "PostgreSQL",
        lambda: psycopg2.connect(here.postgres, connect_timeout=3).close(),
        f"see {logs / 'postgres.log'}",
    )
    if log.well:
        yield tried("rule books in force", lambda: _books_active(here.kafka), "publish them: caudal rules publish FILE")
    yield Finding("intake", answers(f"http://127.0.0.1:{ports.intake}/readyz"), f"see {logs / 'intake.log'}")
    yield Finding("console", answers(f"http://127.0.0.1:{ports.console}/healthz"), f"see {logs / 'console.log'}")


def tried(what: str, action: Callable[[], object], remedy: str) -> Finding:
    """The finding of an action that raises where something is not well."""
    try:
        action()
    except (CaudalError, psycopg2.Error, OSError) as error:
        return Finding(what, False, f"{str(error).splitlines()[0][:200]}; {remedy}")
    return Finding(what, True)


def _topics_exist(servers: str) -> None:
    if not any(map(kafka.answers, servers.split(","))):
        raise CaudalError("no broker answers")
    wanted = [t.name for t in all_topics()]
    reader = Reader(servers, wanted)
    try:
        missing = set(wanted) - {topic for topic, _ in reader.ends()}
    finally:
        reader.close()
    if missing:
        raise CaudalError(f"topics missing: {', '.join(sorted(missing))}; `caudal up` makes them")


def _books_active(servers: str) -> None:
    missing = books.MODELS.keys() - books.active_versions(list(books.history(servers))).keys()
    if missing:
        raise CaudalError(f"no active version of {', '.join(sorted(missing))}")
