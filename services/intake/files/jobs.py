"""Import jobs on disk: one folder a list, with a state for each of its runs, what was sent of it, and its bad rows."""

from __future__ import annotations

import fcntl
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from services.intake.files.faults import FileRefused
from services.intake.sources.source import Accepts

_TRIES, _BETWEEN_TRIES_S = 10, 0.05  # whoever looks whether a list is being imported has its lock for an instant
State = Literal["running", "paused", "failed", "done"]


class Counts(BaseModel):
    """What became of a file's rows: `sent` in this run, `known` from runs before, `rejected`.

    Of this run's also the consents in them by what they say, and how many have neither an e-mail nor a phone.
    """

    read: int = 0
    sent: int = 0
    known: int = 0
    rejected: int = 0
    reasons: dict[str, int] = {}
    granted: int = 0
    refused: int = 0
    unclear: int = 0
    unreachable: int = 0


class Job(BaseModel):
    """One run of an import, which its list and its beginning name, with all that it takes to do so again."""

    model_config = ConfigDict(extra="ignore")

    name: str
    file: str
    source: str
    what: Accepts
    list_name: str
    options: dict[str, str | None] = {}
    given: dict[str, str] = {}
    defaults: dict[str, str] = {}
    cost: float | None = None
    cost_per_row: float | None = None
    currency: str | None = None
    state: State = "running"
    why: str | None = None
    counts: Counts = Counts()
    started_at: datetime
    updated_at: datetime

    def folder(self, home: Path) -> Path:
        """Where its files are."""
        return jobs_folder(home) / self.name


def jobs_folder(home: Path) -> Path:
    """The folder of all jobs of an installation."""
    return home / "imports"


def job_name(source: str, what: Accepts, list_name: str) -> str:
    """The name of a list's job: letters, digits and hyphens, so that no name of a list leads anywhere else."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", list_name.lower()) if not unicodedata.combining(c))
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "list"
    return f"{slug}-{sha256(f'{source}|{what}|{list_name}'.encode()).hexdigest()[:6]}"


def stamp(begun: datetime) -> str:
    """How a run's files are named, so that they stand in the order of their beginnings."""
    return f"{begun.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def write_job(home: Path, job: Job) -> None:
    """Replace a run's state in one step; those of the list's other runs stay."""
    file = job.folder(home) / f"run-{stamp(job.started_at)}.json"
    draft = file.with_suffix(".new")
    draft.write_text(job.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(file)


def read_job(home: Path, name: str) -> Job | None:
    """The last run of a job by its name, None where there is none. Raises `FileRefused` where it cannot be read."""
    if not re.fullmatch(r"[a-z0-9-]{1,60}", name):
        return None
    files = _run_files(jobs_folder(home) / name)
    return _read_run(files[-1]) if files else None


def all_runs(home: Path) -> list[Job]:
    """Every run of every job, the last begun first. One that says it runs and does not was killed: it is paused.

    Raises `FileRefused` where one cannot be read.
    """
    folder = jobs_folder(home)
    runs = [run for one in folder.iterdir() for run in _runs(one)] if folder.is_dir() else []
    return sorted(runs, key=lambda run: run.started_at, reverse=True)


def _runs(folder: Path) -> list[Job]:
    runs = [_read_run(file) for file in _run_files(folder)]
    live = runs[-1] if runs and _is_held(folder) else None
    killed = {"state": "paused", "why": "it was killed"}
    return [run if run.state != "running" or run is live else run.model_copy(update=killed) for run in runs]


def _run_files(folder: Path) -> list[Path]:
    """States of a list's runs as they began; the first may be a `job.json`, which older versions kept of the last."""
    return sorted(folder.glob("*.json"))


def _read_run(file: Path) -> Job:
    try:
        return Job.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise FileRefused(f"{file} cannot be read: remove it, and import the list anew") from None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A job's folder, made where it is missing, for this process alone. Raises `FileRefused` where another has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not _locked(descriptor, fcntl.LOCK_EX, _TRIES):
            raise FileRefused("this list is being imported at the moment: see `caudal imports`")
        yield
    finally:
        os.close(descriptor)


def _is_held(folder: Path) -> bool:
    """Whether an import has it; looking makes no file, and an import that begins meanwhile tries again."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH, 1)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int, tries: int) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                sleep(_BETWEEN_TRIES_S)
    return False
