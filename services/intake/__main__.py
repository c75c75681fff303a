"""Intake's HTTP server: `python -m services.intake`. Several processes may share one port."""

from __future__ import annotations

import gc
import multiprocessing.connection
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from threading import Thread
from types import FrameType

import uvicorn

from schemas.topics import (
    ACTIVITIES_RECEIVED,
    CAMPAIGNS_RESULTS,
    CONSENTS_RECEIVED,
    DEADLETTERS,
    LEADS_NOTIFIED,
    LEADS_RECEIVED,
    OUTCOMES_RECEIVED,
    RULES_PUBLISHED,
)
from services.intake.answering import protocol
from services.intake.app import build_app
from services.intake.book import SourcesBook
from services.intake.caps.counter import PostgresCounter
from services.intake.client_address import networks
from services.intake.gateway import KafkaGateway
from services.intake.limits import Limits
from services.intake.receive import Intake
from services.intake.settings import IntakeSettings
from services.intake.sources.secrets import SourceSecrets
from services.runtime import logs
from services.runtime.errors import SettingsInvalid
from services.runtime.kafka.reader import Reader

_WRITES = (
    LEADS_RECEIVED, LEADS_NOTIFIED, ACTIVITIES_RECEIVED, CONSENTS_RECEIVED, OUTCOMES_RECEIVED, CAMPAIGNS_RESULTS,
    DEADLETTERS,
)  # fmt: skip
_DRAIN_S = 10  # longer than any request can take


def main() -> None:
    """Serve until told to stop; with several workers, until one of them dies."""
    settings = IntakeSettings()
    if len(settings.secret) < 32:
        raise SettingsInvalid(f"CAUDAL_SECRET has {len(settings.secret)} characters; set 32 or more random ones")
    if settings.intake_workers == 1:
        serve(settings)
    else:
        sys.exit(_supervise(settings))


def serve(settings: IntakeSettings) -> None:
    """One server process: listens, answers, and on SIGTERM finishes what it has begun."""
    logs.configure("intake", settings.log_level)
    sys.setswitchinterval(0.001)  # bodies are unpacked beside the loop: it must get its turn back quickly
    gc.freeze()  # what is imported stays: let the collector never walk over it again
    gc.set_threshold(50_000)
    listener = _listen(settings.intake_host, settings.intake_port)
    gateway = KafkaGateway(
        settings.kafka, [t.name for t in _WRITES], f"intake-{settings.worker}", settings.intake_in_flight
    )
    sources = SourcesBook(lambda: Reader(settings.kafka, [RULES_PUBLISHED.name]))
    secrets = SourceSecrets(settings.source_secrets)
    count = PostgresCounter(settings.postgres, settings.worker)
    app = build_app(
        Intake(
            gateway,
            sources,
            settings.secret,
            lambda: datetime.now(UTC),
            secrets.of,
            settings.public_url.rstrip("/"),
            Limits(networks(settings.trusted_proxies)),
            count,
        )
    )
    config = uvicorn.Config(
        app, loop="uvloop", http=protocol,  # type: ignore[arg-type]  # uvicorn calls it, a class or not
        ws="none", lifespan="off", access_log=False, log_config=None,
        server_header=False, date_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=_DRAIN_S, backlog=4096,
        proxy_headers=False,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again once it has drained
    sources.start()
    gateway.start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        gateway.close()
        sources.close()
        count.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.set_inheritable(True)
    return listener


def _supervise(settings: IntakeSettings) -> int:
    """Run the workers. The first that ends ends all: whoever started us starts us again."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_serve_tied, args=(settings,)) for _ in range(settings.intake_workers)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, lambda *_: _stop(workers))
    signal.signal(signal.SIGINT, lambda *_: _stop(workers))
    multiprocessing.connection.wait([worker.sentinel for worker in workers])
    _stop(workers)
    for worker in workers:
        worker.join(_DRAIN_S + 10)
    return max((abs(worker.exitcode or 0) for worker in workers), default=0)


def _serve_tied(settings: IntakeSettings) -> None:
    """One of several workers: it leaves also when the process that started it is killed, or it would keep the port."""
    Thread(target=_leave_with_parent, daemon=True).start()
    serve(settings)


def _leave_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _stop(workers: Sequence[multiprocessing.process.BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()


if __name__ == "__main__":
    import_module("services.intake.__main__").main()  # by its name: under `__main__` no worker would find `serve`
