"""Single posts at intake, answered after the broker's acknowledgement: requests per second, and how long each took."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from dataclasses import dataclass, field
from typing import cast

import uvloop

from services.cli.benches.stand import Stand, stand
from services.cli.installation import source_keys
from services.cli.ports import read_ports

MEASURED = ("intake", "kafka")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def intake(seconds: int, connections: int = 32) -> dict[str, object]:
    """Post different leads on `connections` connections, one at a time on each, for `seconds`."""
    with stand() as here:
        here.start("intake")
        _load(here, "warm", 3, connections)
        before = here.cpu()
        took, refused, elapsed = _load(here, "steady", seconds, connections)
        after = here.cpu()
    ordered = sorted(took)
    return {
        "leads": len(took), "refused": refused, "leads_per_s": round(len(took) / elapsed, 1),
        "cpu_ms_per_lead": round(sum(after[n] - before[n] for n in MEASURED) / max(1, len(took)) * 1000, 4),
        "p50_ms": round(statistics.median(ordered), 2), "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
    }  # fmt: skip


@dataclass(slots=True)
class Load:
    """What all connections share: the numbering, the times taken in milliseconds, and until when to post."""

    head: bytes
    run: str
    until: float
    number: int = 0
    refused: int = 0
    took: list[float] = field(default_factory=list)

    def request(self) -> bytes:
        """The next post, of a person of its own."""
        self.number += 1
        body = (
            b'{"email":"%s%d@example.com","name":"Ana Soto","message":"price?","page_url":"https://www.example.com/pumps"}'
            % (self.run.encode(), self.number)
        )
        return self.head + b"%d\r\n\r\n" % len(body) + body


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


def _load(here: Stand, run: str, seconds: int, connections: int) -> tuple[list[float], int, float]:
    port, key = read_ports(here.home).intake, source_keys(here.home)["website"]
    head = (
        f"POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    load = Load(head.encode(), run, time.perf_counter() + seconds)

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
    return load.took, load.refused, time.perf_counter() - began
