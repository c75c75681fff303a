"""The HTTP protocol of the server: uvicorn's, but answers go out in one piece, and no head may dawdle or swell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.intake.body import SWALLOW_BYTES

HEAD_WITHIN_S = 15.0
MOST_HEAD_BYTES = 65_536
_TOO_LARGE = "The head of the request is too large; send shorter headers and addresses."


class OnePiece:
    """A transport that sends at the end of the loop's turn what was written during it: one system call, one packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep it for the end of the turn."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        """Send what is kept, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


class HeadClock:
    """Closes a connection that does not bring the whole head of its next request within `HEAD_WITHIN_S`."""

    def __init__(self, made: HttpToolsProtocol) -> None:
        self._made = made
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Called when the connection is made and after each of its pieces: start or stop the clock."""
        cycle = self._made.cycle
        in_head = cycle is None or cycle.response_complete
        if in_head and self._timer is None:
            self._timer = self._made.loop.call_later(HEAD_WITHIN_S, self._made.transport.close)
        elif not in_head and self._timer is not None:
            self._timer.cancel()
            self._timer = None


class HeadSize:
    """Ends a connection that brings `MOST_HEAD_BYTES`, to a piece, and with them neither a request nor a body.

    Such are heads, trailers and what stands beside the sizes of chunks: the parser joins the pieces of one header anew
    with each. What comes of a body after its answer is read away, up to `SWALLOW_BYTES`; the parser's scope is the
    answer's until the next head begins.
    """

    def __init__(self, made: HttpToolsProtocol) -> None:
        self._made = made
        self._size = 0

    def take(self, data: bytes, received: Callable[[bytes], None]) -> None:
        """Let one piece be received."""
        before = self._reached()
        received(data)
        self._size = self._size + len(data) if self._reached() == before else 0
        if self._size <= MOST_HEAD_BYTES:
            return
        cycle = self._made.cycle
        if cycle is not None and not cycle.response_complete:
            self._made.transport.close()
        elif cycle is None or self._made.scope is not cycle.scope:
            self._made.send_400_response(_TOO_LARGE)
        elif self._size > SWALLOW_BYTES:
            self._made.transport.close()

    def _reached(self) -> object:
        cycle = self._made.cycle
        return (self._made.scope, cycle, cycle and (len(cycle.body), cycle.more_body))


def protocol(*arguments: Any, **named: Any) -> HttpToolsProtocol:
    """One connection's protocol, as uvicorn asks for it."""
    made = HttpToolsProtocol(*arguments, **named)
    connected, received, clock, size = made.connection_made, made.data_received, HeadClock(made), HeadSize(made)

    def connection_made(transport: asyncio.Transport) -> None:
        connected(cast(asyncio.Transport, OnePiece(transport, made.loop)))
        clock.look()

    def data_received(data: bytes) -> None:
        size.take(data, received)
        clock.look()

    made.connection_made = connection_made  # type: ignore[method-assign]  # wrapped for one connection
    made.data_received = data_received  # type: ignore[method-assign]  # the same
    return made
