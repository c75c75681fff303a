"""One import job on a running installation: prepared, counted, carried out."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from services.cli import books
from services.cli.importprogress import Progress
from services.cli.installation import Installation, installation_secret
from services.cli.sending import Ledger
from services.intake.files.dates import day_first
from services.intake.files.faults import FileRefused
from services.intake.files.importing import BadRows, Import, Outlet
from services.intake.files.jobs import Counts, Job, held, stamp, write_job
from services.intake.files.layout import Asked, Layout, look, read
from services.intake.files.mapping import Mapped, checked_targets, suggest
from services.intake.files.opened import opened
from services.intake.files.outlet import READERS, PacedOutlet
from services.intake.files.reach import check_reach
from services.intake.files.rejects import Rejects, forget_mended, out_of_the_way
from services.intake.files.seen import Seen
from services.intake.files.submissions import Terms, listed_source
from services.intake.sources.source import Source
from services.runtime.errors import Unavailable
from services.runtime.kafka.groups import GroupDistance
from services.runtime.kafka.producer import LogProducer
from services.runtime.transport import Message

_NOTE_JOB_EVERY_S = 1.0
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Ready:
    """A job with its file looked at."""

    job: Job
    stream: BinaryIO
    layout: Layout
    mapped: tuple[Mapped, ...]
    terms: Terms


@dataclass(slots=True)
class Nowhere:
    """An outlet for counting."""

    def room(self) -> int:
        """As much as there is."""
        return 1000

    def publish(self, messages: Sequence[Message]) -> None:
        """Into nothing."""


@dataclass(slots=True)
class Examples:
    """The first bad rows, to be shown."""

    rows: list[str] = field(default_factory=list)

    def note(self, number: int, cells: Sequence[str], code: str, message: str) -> None:
        """One bad row."""
        if len(self.rows) < _EXAMPLES:
            self.rows.append(f"row {number}: {code}: {message}")

    def flush(self) -> None:
        """Nothing to do."""


@contextmanager
def prepared(here: Installation, job: Job) -> Iterator[Ready]:
    """The job's file opened and looked at. Raises `FileRefused` for what cannot be imported."""
    source = _source(here, job)
    path = Path(job.file)
    with opened(path) as stream:
        asked = Asked(job.options.get("sheet"), job.options.get("encoding"), job.options.get("delimiter"))
        layout = look(stream, path, asked)
        checked_targets(job.given, layout.columns, job.what)
        said = source.fields if job.what == "leads" else {}
        mapped = suggest(layout.columns, layout.sample, job.what, job.given, said, source.region)
        check_reach(stream, layout, mapped, job)
        yield Ready(job, stream, layout, mapped, _terms(here, job, source, layout, mapped))


def counted(ready: Ready, doing: str = "counting") -> tuple[Counts, list[str]]:
    """What would become of the file's rows, and the first bad ones in words. Nothing is sent or kept."""
    examples = Examples()
    with Progress(doing, ready.layout.size, ready.stream) as progress, _seen(None) as seen:
        run = _import(ready, seen, examples, Nowhere(), progress.told, _nobody, lambda: False)
        run.run(read(ready.stream, ready.layout))
    return run.counts, examples.rows


def carried_out(here: Installation, ready: Ready) -> Job:
    """The job as it stands at the end: done, or paused by a person or a dependency that failed."""
    folder = ready.job.folder(here.home)
    with held(folder), _stopping() as stopped:
        return _carried_out(here, _priced(ready), folder, stopped)


def _priced(ready: Ready) -> Ready:
    """With what one row costs, where the list as a whole has a price: its good rows are counted first."""
    if ready.job.cost is None:
        return ready
    counts, _ = counted(ready, "counting, to share the cost")
    return replace(ready, terms=replace(ready.terms, cost=ready.job.cost / max(1, counts.sent)))


def _carried_out(here: Installation, ready: Ready, folder: Path, stopped: Callable[[], bool]) -> Job:
    now, bad = datetime.now(UTC), folder / "rejects.csv"
    new = {"state": "running", "why": None, "counts": Counts(), "started_at": now, "updated_at": now}
    job = ready.job.model_copy(update=new | {"file": str(out_of_the_way(Path(ready.job.file), bad, stamp(now)))})
    write_job(here.home, job)
    state, why, counts = "paused", "a person stopped it", job.counts
    ledger = Ledger(here.ledger / f"import-{job.name}.jsonl")
    note = _noter(here.home, job)

    def acknowledged(ids: Sequence[str]) -> None:
        if job.what == "leads":
            ledger.note(ids, job.source)

    with (
        Progress("sending", ready.layout.size, ready.stream) as progress, _seen(folder / "rows.sqlite") as seen,
        Rejects(bad, ready.layout.columns) as rejects, _outlet(here, job, stopped, progress) as out,
    ):  # fmt: skip

        def told(now: Counts) -> None:
            progress.told(now)
            note(now)

        run = _import(ready, seen, rejects, out, told, acknowledged, stopped)
        counts = run.counts
        try:
            if run.run(read(ready.stream, ready.layout)):
                state, why = "done", ""
        except (Unavailable, FileRefused, OSError, sqlite3.Error) as error:
            state, why = "failed", str(error)
    done = job.model_copy(update={"state": state, "why": why, "counts": counts, "updated_at": datetime.now(UTC)})
    write_job(here.home, done)
    if state == "done":
        forget_mended(Path(done.file), bad)
    return done


def _import(
    ready: Ready, seen: Seen, bad: BadRows, outlet: Outlet, told: Callable[[Counts], None],
    acknowledged: Callable[[Sequence[str]], None], stopped: Callable[[], bool],
) -> Import:  # fmt: skip
    return Import(ready.terms, seen, bad, outlet, lambda: datetime.now(UTC), told, acknowledged, stopped)


def _noter(folder: Path, job: Job) -> Callable[[Counts], None]:
    """Keeps the job's state on disk, at most once a second."""
    last = 0.0

    def note(counts: Counts) -> None:
        nonlocal last
        if time.monotonic() - last >= _NOTE_JOB_EVERY_S:
            last = time.monotonic()
            write_job(folder, job.model_copy(update={"counts": counts, "updated_at": datetime.now(UTC)}))

    return note


def _source(here: Installation, job: Job) -> Source:
    book = books.in_force(list(books.history(here.kafka)), "sources")
    known: dict[str, Source] = book.rules.sources if book else {}
    source = known.get(job.source)
    if source is None or source.kind == "kafka":
        why = "writes a topic of its own" if source else "is in no active book `sources`"
        fit = ", ".join(name for name, s in known.items() if s.kind != "kafka")
        raise FileRefused(f"source {job.source!r} {why}; lists may be of {fit}")
    if job.what not in source.accepts:
        raise FileRefused(f"source {job.source!r} may not send {job.what}; it may send {', '.join(source.accepts)}")
    return source


def _terms(here: Installation, job: Job, source: Source, layout: Layout, mapped: Sequence[Mapped]) -> Terms:
    fields = {m.column: m.field for m in mapped if m.field}
    dates = [m.column for m in mapped if m.field == "occurred_at"]
    places = [place for place, column in enumerate(layout.columns) if column in dates]
    sample = [row[place] for row in layout.sample for place in places if place < len(row)]
    return Terms(
        listed_source(source, fields, job.options.get("campaign"), job.options.get("channel")), job.what, job.list_name,
        fields, job.defaults, installation_secret(here.home), job.cost_per_row, job.currency,
        day_first(sample, source.region), layout.kind == "sheet",
    )  # fmt: skip


@contextmanager
def _outlet(here: Installation, job: Job, stopped: Callable[[], bool], progress: Progress) -> Iterator[PacedOutlet]:
    readers = READERS[job.what]
    distance = GroupDistance(here.kafka, [(reader.group, reader.topic) for reader in readers])
    producer = LogProducer(here.kafka, "caudal-import")
    try:
        yield PacedOutlet(producer, distance, readers, stopped, progress.waits)
    finally:
        producer.close()
        distance.close()


@contextmanager
def _seen(file: Path | None) -> Iterator[Seen]:
    seen = Seen(file)
    try:
        yield seen
    finally:
        seen.close()


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or SIGTERM lets the rows on their way arrive, the second ends at once."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            sys.exit(128 + number)
        asked = True

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nobody(_ids: Sequence[str]) -> None:
    """Counted only."""
