"""Answers on the wire: intake sends one in one piece, and the bench waits for the whole of it."""

import asyncio
import time
from typing import Any, cast

from services.cli.benches.posting import Connection, Load
from services.intake.answering import OnePiece

HEAD, BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{}"


class Wire:
    """A transport that keeps what is sent, each piece apart."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def on_a_loop(wire: Wire, *, close: bool) -> None:
    async def run() -> None:
        transport = OnePiece(cast(asyncio.Transport, wire), asyncio.get_running_loop())
        for data in (HEAD, BODY):
            transport.write(data)
        assert wire.sent == []
        if close:
            transport.close()
        await asyncio.sleep(0)
        if not close:
            transport.write(HEAD)
            await asyncio.sleep(0)

    asyncio.run(run())


def test_what_is_written_in_one_turn_goes_out_in_one_piece() -> None:
    wire = Wire()
    on_a_loop(wire, close=False)
    assert wire.sent == [HEAD + BODY, HEAD]


def test_a_close_sends_first_what_was_written() -> None:
    wire = Wire()
    on_a_loop(wire, close=True)
    assert (wire.sent, wire.closed) == ([HEAD + BODY], True)


def test_a_connection_that_the_client_has_left_is_written_to_no_more() -> None:
    wire = Wire()
    wire.closed = True
    on_a_loop(wire, close=False)
    assert wire.sent == []


def test_the_bench_counts_an_answer_in_pieces_once() -> None:
    async def run() -> Load:
        load = Load(lambda: b"POST / HTTP/1.1\r\n\r\n", time.perf_counter() + 60)
        connection, wire = Connection(load, asyncio.get_running_loop().create_future()), Wire()
        connection.connection_made(cast(Any, wire))
        for piece in (HEAD[:9], HEAD[9:], BODY[:1], BODY[1:], HEAD + BODY):
            connection.data_received(piece)
        assert len(wire.sent) == 3
        return load

    load = asyncio.run(run())
    assert (len(load.took), load.refused) == (2, 0)
