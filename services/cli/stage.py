"""Where `caudal demo` plays: an installation of its own or the one that runs here, and the sample CRM."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from rich.console import Console

from deploy.demo.day import PLATFORM
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.process import Child, start, stop
from deploy.embedded.supervisor import read_state, start_detached, stop_detached
from services.cli import books
from services.cli.installation import Installation, home, installation_secret, running, source_keys
from services.cli.playing import Ways
from services.runtime.rulebook import book_version

HURRIED = "first_response: {hot: 20s, warm: 30s, cold: 40s}"
"""So that a day of 75 seconds shows what happens to leads that nobody answers."""
out = Console(stderr=True, highlight=False)
POSTING = ("website", "landing-pages", "fair", "phone-desk")


@contextmanager
def installation() -> Iterator[tuple[Installation, bool]]:
    """What runs here, and whether it was started for this block and ends with it. Raises `EmbeddedError`."""
    ours = read_state(home()) is None
    try:
        if ours:
            out.print("starting Kafka, PostgreSQL and the services ...")
            start_detached(home(), [sys.executable, "-m", "services.cli", "up"])
        yield running(), ours
    finally:
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(asked, signal.SIG_IGN)  # from here on nothing may keep it from stopping in order
        if ours:
            out.print("stopping ...")
            stop_detached(home())


@contextmanager
def hurried(here: Installation) -> Iterator[None]:
    """Shorter deadlines for first responses, taken back at the end; none where somebody has published own rules."""
    default = books.default_body("routing")
    usual, body = book_version("routing", default), re.sub("(?m)^first_response:.*$", HURRIED, default)
    book = books.in_force(here.kafka, "routing")
    if book is None or book.version not in (usual, book_version("routing", body)):
        yield
        return
    books.publish(here.kafka, "routing", body, "caudal demo", "short deadlines for a sample day")
    try:
        yield
    finally:
        books.activate(here.kafka, "routing", usual, "caudal demo", "the usual deadlines")


@contextmanager
def sample_crm(here: Installation, pace_s: float) -> Iterator[None]:
    """The sample CRM, for the time of the block; its leads stay in `crm.sqlite`."""
    program, file = str(files("deploy.demo").joinpath("crm.py")), str(here.home / "crm.sqlite")
    argv = (sys.executable, program, "--kafka", here.kafka, "--file", file, "--pace", str(pace_s))
    crm = start(Child("sample-crm", argv), here.home)
    try:
        yield
    finally:
        stop([crm], here.home)


def ways(here: Installation) -> Ways:
    """How the sources of the sample day reach this installation. Raises `EmbeddedError` where it does not know them."""
    keys, book = source_keys(here.home), books.in_force(here.kafka, "sources")
    platform = book.rules.sources.get(PLATFORM) if book else None
    missing = [name for name in POSTING if name not in keys] + ([] if platform else [PLATFORM])
    if missing or platform is None:
        raise EmbeddedError(
            f"The sample day needs the sources of the default book, and {', '.join(missing)} cannot be used here. "
            "Play it in a home of its own: CAUDAL_HOME=/tmp/caudal-demo caudal demo"
        )
    return Ways(
        f"http://127.0.0.1:{here.ports.intake}/v1/leads", keys, here.kafka, platform, installation_secret(here.home)
    )
