"""Posting to intake from one loop, at next to no cost: each connection posts, waits for the answer, posts again."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

from services.cli.benches.stand import Stand
from services.cli.installation import source_keys
from services.cli.ports import read_ports

MEASURED = ("intake", "kafka")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Load:
    """What all connections share: the next request, until when to post, and the times taken in milliseconds."""

    request: Callable[[], bytes]
    until: float
    refused: int = 0
    took: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection: posts, waits for the answer, posts again."""

    def __init__(self, load: Load, ended: asyncio.Future[None]) -> None:
        self._load, self._ended = load, ended
        self._transport: asyncio.WriteTransport | None = None
        self._sent, self._answer = 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._post()

    def data_received(self, data: bytes) -> None:
        """A piece of an answer; the last one ends the wait."""
        self._answer += data
        head, whole, body = self._answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not whole or (length and len(body) < int(length[1])):
            return
        self._load.took.append((time.perf_counter() - self._sent) * 1000)
        self._load.refused += not head.startswith(b"HTTP/1.1 200")
        self._answer = b""
        self._post()

    def connection_lost(self, _error: Exception | None) -> None:
        """The end."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _post(self) -> None:
        transport = cast(asyncio.WriteTransport, self._transport)
        if time.perf_counter() > self._load.until:
            transport.close()
            return
        self._sent = time.perf_counter()
        transport.write(self._load.request())


def head(here: Stand, path: str = "/v1/leads", source: str = "website") -> bytes:
    """What every post begins with, up to the number of its body's bytes."""
    port, key = read_ports(here.home).intake, source_keys(here.home)[source]
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()


def person(name: bytes) -> bytes:
    """A submission as a small form sends it."""
    told = b'"name":"Ana Soto","message":"price?","page_url":"https://www.example.com/pumps"'
    return b'{"email":"%s@example.com",%s}' % (name, told)


def event(name: bytes) -> bytes:
    """The same as an SDK sends it: a `track` of an event that is a lead."""
    return (
        b'{"type":"track","event":"Lead Submitted","messageId":"%s","userId":"u1",'
        b'"timestamp":"2026-11-23T05:00:00.000Z","properties":%s,"context":{"library":{"name":"analytics-python","version":"2.4.0"}},"integrations":{}}'
        % (name, person(name))
    )


def post(here: Stand, request: Callable[[], bytes], seconds: int, connections: int) -> tuple[Load, float]:
    """Post for so long on so many connections; the answers, and the seconds that it took to get them all."""
    port = read_ports(here.home).intake
    load = Load(request, time.perf_counter() + seconds)

    async def run_all() -> None:
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in range(connections)]
        for end in ends:
            await loop.create_connection(lambda end=end: Connection(load, end), "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.gather(*ends)
        if time.perf_counter() < load.until:
            raise ConnectionError("intake closed all connections before the time was over")

    began = time.perf_counter()
    uvloop.run(run_all())
    return load, time.perf_counter() - began


def figures(
    load: Load, elapsed: float, before: dict[str, float], after: dict[str, float], size: int = 1
) -> dict[str, object]:
    """Leads a second, CPU a lead of intake and of the broker, and how long an answer took; `size` leads a request."""
    leads, ordered = len(load.took) * size, sorted(load.took)
    split = {name: (after[name] - before[name]) / max(1, leads) * 1000 for name in MEASURED}
    return {
        "leads": leads, "refused": load.refused, "leads_per_s": round(leads / elapsed, 1),
        "cpu_ms_per_lead": round(sum(split.values()), 4),
        "cpu_ms_by_process": {name: round(ms, 4) for name, ms in split.items()},
        "p50_ms": round(statistics.median(ordered), 2), "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
    }  # fmt: skip
