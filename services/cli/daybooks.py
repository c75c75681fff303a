"""What the sample day needs of the rule books: short deadlines while it plays, and its sources with their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploy.demo.day import PLATFORM
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.supervisor import read_state
from services.cli import books
from services.cli.installation import Installation, installation_secret, source_keys
from services.cli.playing import Ways
from services.runtime.rulebook import book_version

HURRIED = "first_response: {hot: 20s, warm: 30s, cold: 40s}"
"""So that a day of 75 seconds shows what happens to leads that nobody answers."""
POSTING = ("website", "landing-pages", "fair", "phone-desk")


@contextmanager
def hurried(here: Installation, history: Sequence[books.Entry]) -> Iterator[None]:
    """Shorter deadlines for first responses, taken back at the end; none where somebody has published own rules.

    Where Caudal runs no more, the next sample day takes them back.
    """
    default = books.default_body("routing")
    usual, body = book_version("routing", default), re.sub("(?m)^first_response:.*$", HURRIED, default)
    if books.active_versions(history).get("routing") not in (usual, book_version("routing", body)):
        yield
        return
    books.publish(here.kafka, "routing", body, "caudal demo", "short deadlines for a sample day")
    try:
        yield
    finally:
        if read_state(here.home):
            books.activate(here.kafka, "routing", usual, "caudal demo", "the usual deadlines")


def ways(here: Installation, history: Sequence[books.Entry]) -> Ways:
    """How the sources of the sample day reach this installation. Raises `EmbeddedError` where it does not know them."""
    keys, book = source_keys(here.home), books.in_force(history, "sources")
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
