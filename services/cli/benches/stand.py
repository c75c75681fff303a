"""The stand that benches run on: embedded parts and services in a temporary folder, with their CPU read off."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.embedded.children import Children
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import Parts, running_parts
from services.cli.up import children_of, prepare


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

    def cpu(self) -> dict[str, float]:
        """CPU seconds that each process and its children have used so far."""
        pids = {n: one.process.pid for n, one in self.children.running.items()} | _parts_pids(self.home)
        return {name: _cpu_seconds(psutil.Process(pid)) for name, pid in pids.items()}


@contextmanager
def stand() -> Iterator[Stand]:
    """A stand for the time of the block; its folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="caudal-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user where this process is root
        home = Path(folder) / "home"
        before = os.environ.get("CAUDAL_HOME")
        os.environ["CAUDAL_HOME"] = str(home)
        try:
            with running_parts(home) as parts:
                children = Children(home)
                try:
                    yield Stand(home, parts, children)
                finally:
                    children.stop(list(children.running))
        finally:
            os.environ.pop("CAUDAL_HOME") if before is None else os.environ.update(CAUDAL_HOME=before)


def until(done: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> float:
    """Wait until something is so; the monotonic moment. Raises `EmbeddedError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{what}: not so after {seconds:.0f} s; the logs are in the stand's folder")
        time.sleep(every)
    return time.monotonic()


def _parts_pids(home: Path) -> dict[str, int]:
    notes = {name: home / "run" / f"{name}.json" for name in ("kafka", "postgres")}
    return {name: json.loads(file.read_text())["pid"] for name, file in notes.items() if file.exists()}


def _cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
