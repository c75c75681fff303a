"""The stand that benches run on: embedded parts and services in a temporary folder, with their CPU read off."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from deploy.embedded.children import Children
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import Parts, running_parts
from deploy.embedded.process import reason, same_process
from services.cli.sending import Refused
from services.cli.up import children_of, prepare
from services.runtime.errors import CaudalError

FAILURES = (CaudalError, Refused, OSError, psycopg2.Error, psutil.Error, ValueError)
"""What a bench meets when a process that it measures ends: no answer, no connection, no figures to take a mean of."""


@dataclass(slots=True)
class Stand:
    """A running installation that nobody else uses."""

    home: Path
    parts: Parts
    children: Children

    def start(self, *names: str) -> None:
        """Start services by name; intake and console are awaited."""
        ports = prepare(self.parts)
        self.children.start([c for name in names for c in children_of(name, self.parts, ports, 1)])
        self.children.wait_ready()

    def ended(self) -> list[str]:
        """What ran here and runs no more, each with the end of its log."""
        services = [one for one in self.children.running.values() if one.process.poll() is not None]
        parts = [name for name, note in _notes(self.home).items() if not same_process(note["pid"], note["started"])]
        return [
            f"{one.child.name} ended with exit code {one.process.returncode}: {reason(one)}" for one in services
        ] + [f"{name} ended" for name in parts]

    def until(self, done: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> float:
        """Wait until something is so; the monotonic moment. Raises `EmbeddedError` after `seconds`, or if one ended."""
        deadline = time.monotonic() + seconds
        while not done():
            if ended := self.ended():
                raise EmbeddedError("; ".join(ended))
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{what}: not so after {seconds:.0f} s")
            time.sleep(every)
        return time.monotonic()

    def cpu(self) -> dict[str, float]:
        """CPU seconds that each process and its children have used so far."""
        parts = {name: note["pid"] for name, note in _notes(self.home).items()}
        pids = {n: one.process.pid for n, one in self.children.running.items()} | parts
        return {name: _cpu_seconds(psutil.Process(pid)) for name, pid in pids.items()}


@contextmanager
def stand() -> Iterator[Stand]:
    """A stand for the time of the block; its folder is gone afterwards, but for the logs where something went wrong.

    Raises `EmbeddedError` for whatever fails in the block, first of all for a process that ended there.
    """
    folder = Path(tempfile.mkdtemp(prefix="caudal-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where this process is root
    try:
        with home_of(folder / "home") as home, running_parts(home) as parts, children_in(home) as children:
            yield from _told(Stand(home, parts, children))
    except EmbeddedError as error:
        raise EmbeddedError(f"{error}\nlogs: {keep_logs(folder)}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _told(here: Stand) -> Iterator[Stand]:
    try:
        yield here
    except FAILURES as error:
        said = str(error).strip().splitlines() or ["no more is known"]
        raise EmbeddedError("; ".join(here.ended()) or f"{type(error).__name__}: {said[0]}") from error


@contextmanager
def home_of(home: Path) -> Iterator[Path]:
    """The environment names this home for the time of the block."""
    before = os.environ.get("CAUDAL_HOME")
    os.environ["CAUDAL_HOME"] = str(home)
    try:
        yield home
    finally:
        os.environ.pop("CAUDAL_HOME") if before is None else os.environ.update(CAUDAL_HOME=before)


@contextmanager
def children_in(home: Path) -> Iterator[Children]:
    """Children that are stopped at the end of the block."""
    children = Children(home)
    try:
        yield children
    finally:
        children.stop(list(children.running))


def keep_logs(folder: Path) -> Path:
    """Throw everything away but the logs; where those are."""
    home = folder / "home"
    with suppress(OSError):
        (home / "kafka" / "kafka.log").replace(home / "logs" / "kafka-broker.log")
    for other in home.glob("*"):
        if other.name != "logs":
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    return home / "logs"


def _notes(home: Path) -> dict[str, dict[str, Any]]:
    """Pid and start of the broker and the database, as they were noted when they were started."""
    notes = {name: home / "run" / f"{name}.json" for name in ("kafka", "postgres")}
    return {name: json.loads(file.read_text()) for name, file in notes.items() if file.exists()}


def _cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
