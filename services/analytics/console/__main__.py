"""Run the console in a process of its own."""

from __future__ import annotations

import time

import psycopg2
import structlog
import uvicorn

from services.analytics.console.app import create_app
from services.analytics.console.lag import kafka_lags
from services.analytics.settings import AnalyticsSettings
from services.runtime.logs import configure
from services.runtime.postgres import migrate

log = structlog.get_logger()


def main() -> None:
    """Build from the environment, serve until told to stop."""
    settings = AnalyticsSettings()
    configure("console", settings.log_level)
    _prepare(settings)
    log.info("console.started", port=settings.console_port)
    uvicorn.run(
        create_app(settings, kafka_lags(settings.kafka)), host=settings.console_host, port=settings.console_port,
        log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip


def _prepare(settings: AnalyticsSettings) -> None:
    """Create the tables where the console is up before the first worker, waiting for a database that is not up yet."""
    while True:
        try:
            migrate(settings.postgres, "analytics", ("services.runtime", "services.analytics"))
            return
        except psycopg2.OperationalError as error:
            log.warning("postgres.away", error=type(error).__name__)
            time.sleep(1.0)


if __name__ == "__main__":
    main()
