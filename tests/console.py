"""The console on a port of its own, in a thread, over a database that a test feeds by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import uvicorn

from services.analytics.console.app import create_app
from services.analytics.settings import AnalyticsSettings
from tests.analytics_feed import SECRET, Feed, Story


@dataclass
class Console:
    """A running console: its address, its feed, and the lags that it is told."""

    url: str
    feed: Feed
    lags: dict[str, int] = field(default_factory=dict)
    told: int = 0

    def leads(self, n: int, **traits: object) -> list[Story]:
        """So many new leads flow through all stages now."""
        now = datetime.now(UTC) - timedelta(seconds=1)
        numbers = range(self.told + 1, self.told + n + 1)
        stories = [Story(i, **{"at": now, "name": f"Person Number{i}", **traits}) for i in numbers]  # type: ignore[arg-type]
        self.told += n
        self.feed.take([r for story in stories for r in story.whole()], now)
        return stories


@contextmanager
def running_console(dsn: str) -> Iterator[Console]:
    """Serve until the block ends."""
    feed = Feed(dsn)
    lags: dict[str, int] = {}
    app = create_app(AnalyticsSettings(postgres=dsn, secret=SECRET), lambda: lags)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Console(f"http://127.0.0.1:{port}", feed, lags)
    finally:
        server.should_exit = True
        thread.join(10)
        feed.close()
