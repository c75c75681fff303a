"""The small HTTP port of a worker: /healthz, /readyz and /metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import generate_latest

from services.runtime.metrics import REGISTRY

Check = Callable[[], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Pulse:
    """A thread that must keep turning. `alive_at`: when it last did, monotonic seconds; 0 before the first turn."""

    name: str
    alive_at: Callable[[], float]
    stalled_after_s: float

    def silent_s(self, now: float) -> float:
        """Seconds since its last turn."""
        at = self.alive_at()
        return now - at if at else 0.0


def healthy(pulses: tuple[Pulse, ...], now: float) -> tuple[bool, str]:
    """Whether no thread has been silent for half the time after which it counts as stalled."""
    said = ", ".join(f"{p.name}: last turn {p.silent_s(now):.1f} s ago" for p in pulses)
    return all(p.silent_s(now) < p.stalled_after_s / 2 for p in pulses), said


def stalled(pulses: tuple[Pulse, ...], now: float) -> list[str]:
    """Names of the threads that turn no more."""
    return [p.name for p in pulses if p.silent_s(now) > p.stalled_after_s]


class HealthServer:
    """Serves until closed. `healthy` fails only when the worker is stalled, `ready` also when it cannot work now."""

    def __init__(self, port: int, healthy: Check, ready: Check) -> None:
        checks = {"/healthz": healthy, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, generate_latest(REGISTRY), "text/plain; version=0.0.4")
                elif self.path in checks:
                    good, text = checks[self.path]()
                    self._answer(200 if good else 503, text.encode() + b"\n", "text/plain")
                else:
                    self._answer(404, b"not here: /healthz, /readyz, /metrics\n", "text/plain")

            def _answer(self, status: int, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes are not worth a line."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
