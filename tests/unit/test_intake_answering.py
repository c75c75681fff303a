"""Answers on the wire: intake sends one in one piece, and the bench waits for the whole of it."""

import asyncio
import socket
import time
from typing import Any, cast

import pytest
import uvicorn

from services.cli.benches.posting import Connection, Load
from services.intake.answering import OnePiece, protocol

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


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(0.4)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": BODY})


async def answered(pieces: list[bytes]) -> bytes:
    """What a server with this protocol says to these pieces, until one of the two closes."""
    config = uvicorn.Config(slow, http=protocol, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.should_exit = True
        await serving
    return said


def test_a_head_that_does_not_end_is_cut_off_and_an_answer_that_takes_long_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.intake.answering.HEAD_WITHIN_S", 0.2)
    whole = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert asyncio.run(answered([])) == b""
    assert asyncio.run(answered([b"GET / HTTP/1.1\r\n", b"a: b\r\n"])) == b""
    assert asyncio.run(answered([whole[:10], whole[10:]])).endswith(BODY)


FOUND = b"POST / HTTP/1.1\r\nhost: x\r\n"
MORE = [b"a" * 40_000] * 3


def test_a_head_that_grows_without_end_is_refused_in_words() -> None:
    for start in (b"GET /?", FOUND + b"a: "):
        said = asyncio.run(answered([start, *MORE]))
        assert said.startswith(b"HTTP/1.1 400 ")
        assert b"head of the request is too large" in said


@pytest.mark.parametrize("chunked", [b"0\r\na: ", b"1;"], ids=["trailer", "extension of a chunk"])
def test_what_grows_beside_a_body_is_cut_off(chunked: bytes) -> None:
    assert asyncio.run(answered([FOUND + b"transfer-encoding: chunked\r\n\r\n" + chunked, *MORE])) == b""


def test_a_body_may_be_larger_and_come_after_its_answer() -> None:
    posted = [FOUND + b"content-length: 300000\r\n\r\n", *([b"a" * 10_000] * 30)]
    said = asyncio.run(answered([*posted, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]))
    assert said.count(b" 200 OK") == 2


def test_a_head_after_a_body_that_came_late_may_not_grow_either() -> None:
    posted = [FOUND + b"content-length: 100000\r\n\r\n", *([b"a" * 10_000] * 10)]
    said = asyncio.run(answered([*posted, b"GET /?", b"a" * 40_000, b"a" * 40_000]))
    assert said.count(b" 200 OK") == 1
    assert b"head of the request is too large" in said
