"""`caudal doctor`: whether this machine and the installation that runs here are well."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated

import typer

from deploy.embedded.settings import EmbeddedSettings
from schemas.topics import all_topics
from services.cli import books
from services.cli.configured import configured
from services.cli.environment import wrong_settings
from services.cli.installation import home
from services.cli.intaketables import NotYet, intake_tables
from services.cli.status import short
from services.cli.vitals import READY, Vital, ask_broker, ask_database, states, vitals
from services.intake.hydrate import store
from services.runtime.errors import CaudalError, Unavailable
from services.runtime.kafka.reader import Reader
from services.runtime.settings import RuntimeSettings

MIN_FREE_GB = 8  # so that PostgreSQL's log may grow to its full size
IN_VAIN = timedelta(hours=1)  # so long a lead may fail to be read before that is a finding


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; where it is not well, what is wrong and the remedy."""

    what: str
    well: bool
    wrong: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"ok      {self.what}" if self.well else f"not ok  {self.what}: {self.wrong}; {self.remedy}"


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Check this machine and the installation that runs here, part by part.

    Exit code 1 where something is not well.

    Example: caudal doctor
    """
    found = []
    for finding in (*machine(home()), *environment(), *installation(home())):
        found.append(finding)
        if not as_json:
            typer.echo(str(finding))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=1))
    raise typer.Exit(0 if all(finding.well for finding in found) else 1)


def machine(folder: Path) -> Iterator[Finding]:
    """What this machine must have."""
    version = sys.version.split()[0]
    yield Finding(f"Python {version}", sys.version_info >= (3, 11), "too old", "use Python 3.11 or newer")
    crc = importlib.util.find_spec("crc32c") is not None
    remedy = "pip install 'kafka-python[crc32c]'"
    yield Finding("crc32c wheel", crc, "not there, so that Kafka costs 3 to 9 times the CPU", remedy)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free / 2**30
    wrong = f"less than {MIN_FREE_GB} GB"
    remedy = "free some space, or set CAUDAL_HOME to a folder on another disk"
    yield Finding(f"{free:.1f} GB free for {short(folder)}", free > MIN_FREE_GB, wrong, remedy)


def environment() -> Iterator[Finding]:
    """The settings, each that cannot be used on a line of its own."""
    wrong = wrong_settings()
    yield from (Finding("setting", False, said.removesuffix("."), "correct it, or unset it") for said in wrong)
    if not wrong:
        yield Finding("settings", True)


def installation(folder: Path) -> Iterator[Finding]:
    """What runs here, or the cluster that the environment names."""
    settings, running = configured(EmbeddedSettings), list(states(folder))
    servers = next((s.kafka for s in running if s.kafka), None) or settings.kafka
    dsn = next((s.postgres for s in running if s.postgres), None) or settings.postgres
    if not servers or not dsn:
        yield Finding("installation", False, f"nothing runs on {short(folder)}", "start it with `caudal up`")
        return
    asked = [one for state in running for one in vitals(state)]
    yield from (process(one) for one in asked)
    names, broker = {one.child.name for one in asked}, ask_broker(servers)
    if "kafka" not in names:
        yield Finding(f"Kafka {servers}", broker == READY, broker, "look at that broker, or correct CAUDAL_KAFKA")
    database = ask_database(dsn)
    if "postgres" not in names:
        yield Finding("PostgreSQL", database == READY, database, "look at that server, or correct CAUDAL_POSTGRES")
    yield from on_the_log(servers) if broker == READY else ()
    yield from told_by_id(dsn) if database == READY else ()


def process(one: Vital) -> Finding:
    """Health of one process; its log says more."""
    where = f" on port {one.port}" if one.port else ""
    return Finding(f"{one.child.name}{where}", one.well, one.health, f"see {short(one.child.log)}")


def on_the_log(servers: str) -> Iterator[Finding]:
    """What must be on the log for the services to work."""
    yield tried("topics", lambda: missing_topics(servers), "not there", "`caudal up` creates them")
    remedy = "publish each with `caudal rules publish FILE`"
    yield tried("rule books in force", lambda: missing_books(servers), "without an active version", remedy)


def told_by_id(dsn: str) -> Iterator[Finding]:
    """Each source that tells its leads by id: whether they can be read from its API."""
    try:
        with intake_tables(dsn) as cursor:
            shares = store.overview(cursor)
    except NotYet:
        return
    except Unavailable as error:
        yield Finding("leads told by id", False, str(error), "look at that server")
        return
    yield from (_hydrated(source, list(own)) for source, own in groupby(shares, lambda share: share.source))


def _hydrated(source: str, shares: list[store.Share]) -> Finding:
    """One source, by how many of its leads wait, and the first of those that are parked or fail for long."""
    waiting = sum(share.leads for share in shares if share.oldest)
    now, failing = datetime.now(UTC), [(share.since, share.state, share.why) for share in shares if share.since]
    since, state, why = min(failing, key=itemgetter(0), default=(now, "", ""))
    if state != "parked" and now - since < IN_VAIN:
        return Finding(f"leads of {source}", True)
    wrong = f"{waiting:,} wait, {state} since {since:%Y-%m-%d %H:%M} UTC ({why})"
    remedy = f"look at its API; what is given up `caudal sources retry {source}` asks for again"
    if state == "parked":
        remedy = f"renew its token with `caudal sources secret {source} token`, or mend what is said"
    return Finding(f"leads of {source}", False, wrong, remedy)


def tried(what: str, missing: Callable[[], Iterable[str]], wrong: str, remedy: str) -> Finding:
    """Whether nothing is missing."""
    try:
        names = sorted(missing())
    except CaudalError as error:
        return Finding(what, False, str(error).splitlines()[0][:200], remedy)
    return Finding(what, not names, f"{wrong}: {', '.join(names)}", remedy)


def missing_topics(servers: str) -> set[str]:
    """Topics that are declared, or that a source of kind `kafka` writes, and do not exist."""
    settings = configured(RuntimeSettings, "sources", "destinations")
    known = tuple(books.kafka_sources(list(books.history(servers))))
    wanted = {t.name for t in all_topics((*settings.source_names(), *known), settings.destination_names())}
    reader = Reader(servers, sorted(wanted))
    try:
        return wanted - {topic for topic, _ in reader.ends()}
    finally:
        reader.close()


def missing_books(servers: str) -> set[str]:
    """Rule books of which no version is in force."""
    return books.MODELS.keys() - books.active_versions(list(books.history(servers))).keys()
