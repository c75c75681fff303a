"""Where `caudal demo` plays: an installation of its own or the one that runs here, and the sample CRM."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.process import STOP_SECONDS, Child, start, stop
from deploy.embedded.signals import stop_signals
from deploy.embedded.supervisor import Launch, State, await_launched, launch, read_state, stop_launched
from services.cli.installation import Installation, home, running
from services.cli.ports import answers, read_ports

out = Console(stderr=True, highlight=False)


@contextmanager
def installation() -> Iterator[tuple[Callable[[], Installation], bool]]:
    """What runs here, once intake answers, and whether it was started for this block and ends with it.

    It is started at once, and waited for when it is called. Raises `EmbeddedError`.
    """
    ours = None
    try:
        if read_state(home()) is None:
            out.print("starting Kafka, PostgreSQL and the services ...")
            with stop_signals() as asked:  # in this moment none may leave behind what nobody knows of
                ours = launch(home(), [sys.executable, "-m", "services.cli", "up"])
            if asked():
                sys.exit(128 + asked.number)
        yield lambda: _opened(ours), ours is not None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # from here on nothing may keep it from stopping in order
        if ours:
            if ours.process.poll() is None:
                out.print("stopping the services, Kafka and PostgreSQL ...")
            stop_launched(ours)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from playing a day in this home for the time of the block; EmbeddedError naming who plays there."""
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "demo.lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise EmbeddedError(
                f"A sample day plays on {folder} already ({lock.read()}): watch it at "
                f"http://127.0.0.1:{read_ports(folder).console}/, end it with Ctrl-C where it runs, or play another in "
                "a home of its own: CAUDAL_HOME=/tmp/caudal-demo caudal demo"
            ) from None
        lock.truncate(0)
        print(f"process {os.getpid()}, since {datetime.now():%H:%M}", end="", file=lock, flush=True)
        yield


def _opened(ours: Launch | None) -> Installation:
    if ours:
        await_launched(ours, _takes_leads)
    return running()


def _takes_leads(state: State) -> bool:
    """Whether intake is ready; the console may still be on its way."""
    return state.kafka is not None and answers(f"http://127.0.0.1:{read_ports(home()).intake}/readyz")


@contextmanager
def sample_crm(here: Installation, pace_s: float) -> Iterator[None]:
    """The sample CRM, for the time of the block; its leads stay in `crm.sqlite`."""
    program, file = str(files("deploy.demo").joinpath("crm.py")), str(here.home / "crm.sqlite")
    argv = (sys.executable, program, "--kafka", here.kafka, "--file", file, "--pace", str(pace_s))
    crm = start(Child("sample-crm", argv), here.home)
    try:
        yield
    finally:
        stop([crm], here.home, STOP_SECONDS if read_state(here.home) else 1.0)  # without a broker it hears nothing
