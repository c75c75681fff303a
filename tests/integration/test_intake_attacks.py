"""Attacks on the socket of a running intake: what two programs could read differently is refused, and it lives on."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from schemas.topics import LEADS_RECEIVED
from tests.integration.test_intake_http import Intake, ids_on_log, running_intake

LEAD = b'{"email": "ana@example.com"}'
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def intake(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with running_intake(kafka, tmp_path_factory.mktemp("attacked") / "stderr") as running:
        yield running


def exchange(intake: Intake, sent: bytes) -> tuple[bytes, bool]:
    """All that comes back until intake closes, or says no more for a second; and whether it closed."""
    host, port = intake.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        got = b""
        try:
            connection.sendall(sent)
            connection.settimeout(1)
            while part := connection.recv(65_536):
                got += part
        except TimeoutError:
            return got, False
        except (BrokenPipeError, ConnectionResetError):
            pass
        return got, True


def request(intake: Intake, *headers: bytes, body: bytes = b"", line: bytes = b"POST /v1/leads HTTP/1.1") -> bytes:
    key = f"Authorization: Bearer {intake.key}".encode()
    return b"\r\n".join([line, b"Host: x", key, *headers, b"", body])


END = b"0\r\n\r\n"  # no chunk more, or a body of 5 bytes: what follows is hidden in one of the two readings, or in both
TWO_WAYS: dict[str, tuple[bytes, ...]] = {
    "length, then chunks": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks, then length": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 50"),
    "two lengths in one": (b"Content-Length: 5, 50",),
    "length with a sign": (b"Content-Length: +5",),
    "negative length": (b"Content-Length: -1",),
    "length in hexadecimal": (b"Content-Length: 0x5",),
    "chunks under another name": (b"Transfer-Encoding: xchunked",),
    "chunks, then something": (b"Transfer-Encoding: chunked, identity",),
    "space before the colon": (b"Transfer-Encoding : chunked",),
    "folded header": (b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5"),
    "vertical tab": (b"Transfer-Encoding:\x0bchunked",),
    "length beyond 64 bits": (b"Content-Length: 99999999999999999999999",),
}


@pytest.mark.parametrize("case", TWO_WAYS)
def test_a_body_that_ends_in_two_ways_hides_no_second_request(intake: Intake, kafka: str, case: str) -> None:
    before = ids_on_log(kafka, LEADS_RECEIVED.name)
    hidden = request(intake, b"Content-Length: %d" % len(LEAD), body=LEAD)
    got, closed = exchange(intake, request(intake, *TWO_WAYS[case], body=END + hidden))
    assert (STATUS.findall(got), closed) == ([b"400"], True)
    assert ids_on_log(kafka, LEADS_RECEIVED.name) == before


BROKEN: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "line of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header of 1 MB": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "chunk size that overflows": b"POST /v1/leads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 20 + b"\r\nx",
    "bare newlines": b"GET /healthz HTTP/1.1\nHost: x\n\x1b[31m: hidden@example.com\n\n",
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_request_ends_its_connection_and_nothing_else(intake: Intake, case: str) -> None:
    got, closed = exchange(intake, BROKEN[case])
    assert closed
    assert STATUS.findall(got) in ([b"400"], [])  # what is not read to its end may reset the connection
    assert intake.post(LEAD).status_code == 200
    said = intake.errors.read_text()
    assert "example.com" not in said
    assert "\x1b" not in said
    assert all(len(line) < 2000 for line in said.splitlines())


def test_two_requests_on_one_connection_are_two(intake: Intake, kafka: str) -> None:
    """The one lawful way to send a second: the test above would also pass if intake never took one."""
    one = request(intake, b"Content-Length: %d" % len(LEAD), body=LEAD)
    got, _ = exchange(intake, one + one)
    ids = [json.loads(part[: part.index(b"}") + 1])["id"] for part in got.split(b"\r\n\r\n") if part.startswith(b"{")]
    assert got.count(b" 200 OK") == 2
    assert set(ids) <= set(ids_on_log(kafka, LEADS_RECEIVED.name))
