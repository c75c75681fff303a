"""The HTTP protocol of the server: uvicorn's, but that head and body of an answer go out in one piece."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


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


def protocol(*arguments: Any, **named: Any) -> HttpToolsProtocol:
    """One connection's protocol, as uvicorn asks for it."""
    made = HttpToolsProtocol(*arguments, **named)
    connected = made.connection_made

    def connection_made(transport: asyncio.Transport) -> None:
        connected(cast(asyncio.Transport, OnePiece(transport, made.loop)))

    made.connection_made = connection_made  # type: ignore[method-assign]  # wrapped for one connection
    return made
