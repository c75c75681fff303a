"""From settings to a running service: the wiring that every `__main__` calls."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg2
import structlog

from schemas.topics import RULES_PUBLISHED
from services.runtime.batch import Batches
from services.runtime.clocks import Clocks
from services.runtime.decode import Decoder
from services.runtime.errors import STAYS_DOWN, CaudalError, Halted, LogGap
from services.runtime.faults import armed
from services.runtime.follower import Books, restore
from services.runtime.health import HealthServer, Pulse, healthy, stalled
from services.runtime.inbox import Inbox
from services.runtime.kafka.consumer import GroupConsumer
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.logs import configure
from services.runtime.postgres import Session, connect, migrate
from services.runtime.publisher import Publisher
from services.runtime.service import Service
from services.runtime.settings import RuntimeSettings
from services.runtime.worker import Links, Worker

log = structlog.get_logger()
STALLED_S = 60.0
CALL_STALLED_S = 600.0  # a clock may wait for eight answers of a mail server, each up to a minute
SHUTDOWN_S = 20.0


def run(service: Service, settings: RuntimeSettings, migrations: Sequence[str]) -> None:
    """Run the service in this process until SIGTERM or SIGINT; exit code 0 after a clean stop, 3 when stalled."""
    configure(service.name, settings.log_level)
    _calm_collector()
    session = _first_session(service, settings, migrations)
    books = restore(session, service.books)
    session.close()
    worker = build_worker(service, settings, books)
    clocks = build_clocks(worker, settings)
    pulses = pulses_of(worker, clocks)
    health = HealthServer(
        settings.health_port, lambda: healthy(pulses, time.monotonic()), lambda: _ready(worker, pulses)
    )
    log.info("service.started", health_port=health.port, worker=settings.worker)
    _stop_on_signals(worker, clocks)
    threading.Thread(target=_watch, args=(worker, pulses), name="watchdog", daemon=True).start()
    clock_thread = threading.Thread(target=clocks.run, name="clocks", daemon=True)
    clock_thread.start()
    try:
        worker.run()
    except CaudalError as error:
        log.error("service.stopped", error=str(error))
        sys.exit(STAYS_DOWN if isinstance(error, Halted | LogGap) else 1)
    finally:
        clocks.stop()
        clock_thread.join(SHUTDOWN_S / 2)
        health.close()


def _calm_collector() -> None:
    """A batch makes thousands of objects and no cycles: collect seldom, and never what was there at the start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def build_worker(service: Service, settings: RuntimeSettings, books: Books) -> Worker:
    """The worker of a service on real Kafka and PostgreSQL."""
    topics = {t.name: t for t in service.inputs}
    decoder = Decoder(topics, service.for_ever)
    batches = Batches(
        service,
        decoder,
        Inbox(keep_data=service.keep_data, days=service.remembers_days),
        armed(os.environ.get("CAUDAL_FAULT", "")),
    )
    group, member = f"caudal.{service.name}", f"{service.name}-{settings.worker}"
    links = Links(
        consumer=lambda: GroupConsumer(
            settings.kafka, group, sorted(topics), member=member, session_ms=settings.session_timeout_ms,
            patient=service.patient),
        publisher=lambda: Publisher(service, LogProducer(settings.kafka, member)),
        session=_sessions(service, settings),
        books=lambda offset: Reader(settings.kafka, [RULES_PUBLISHED.name], {(RULES_PUBLISHED.name, 0): offset}),
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    return Worker(batches, links, books, member, settings.batch, frozenset(settings.confirm_gaps.split()))


def build_clocks(worker: Worker, settings: RuntimeSettings) -> Clocks:
    """The clocks that run beside a worker."""
    batches = worker.batches
    return Clocks(
        batches.service, batches.decoder, worker.books, lambda: worker.partition_counts,
        _sessions(batches.service, settings), worker.links.now, batches.faults)  # fmt: skip


def _sessions(service: Service, settings: RuntimeSettings) -> Callable[[], Session]:
    return lambda: connect(settings.postgres, service.name, f"caudal-{service.name}-{settings.worker}")


def _first_session(service: Service, settings: RuntimeSettings, migrations: Sequence[str]) -> Session:
    """Migrate and connect, waiting for a database that is not up yet."""
    while True:
        try:
            migrate(settings.postgres, service.name, migrations)
            return _sessions(service, settings)()
        except psycopg2.OperationalError as error:
            log.warning("postgres.away", detail=str(error).splitlines()[0][:200])
            time.sleep(1.0)


def _stop_on_signals(worker: Worker, clocks: Clocks) -> None:
    def stop(*_: object) -> None:
        worker.stop()
        clocks.stop()
        deadline = threading.Timer(SHUTDOWN_S, os._exit, (4,))
        deadline.daemon = True
        deadline.start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def pulses_of(worker: Worker, clocks: Clocks) -> tuple[Pulse, ...]:
    """The threads that must turn for the service to be alive."""
    return (
        Pulse("worker", lambda: worker.alive_at, STALLED_S),
        Pulse("clocks", lambda: clocks.alive_at, CALL_STALLED_S if worker.batches.service.calls else STALLED_S),
    )


def _ready(worker: Worker, pulses: tuple[Pulse, ...]) -> tuple[bool, str]:
    alive, text = healthy(pulses, time.monotonic())
    return alive and not worker.trouble, worker.trouble or text


def _watch(worker: Worker, pulses: tuple[Pulse, ...]) -> None:
    """End a process that neither turns nor moves although records wait: a supervisor starts it anew."""
    while True:
        time.sleep(5)
        now = time.monotonic()
        silent = stalled(pulses, now)
        stuck = worker.behind and not worker.trouble and worker.moved_at and now - worker.moved_at > STALLED_S
        if silent or stuck:
            log.error("worker.stalled", silent=silent, stuck=bool(stuck))
            faulthandler.dump_traceback(file=sys.stderr)
            os._exit(3)
