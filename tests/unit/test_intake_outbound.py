"""Calls to others: to the address that was checked, under the name that was asked for, within bounds."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
import trustme

from services.intake.outbound import Fetched, fetch
from services.intake.outside import Address, Allow, Forbidden, allowed
from services.runtime.errors import Unavailable

LOCAL = allowed("127.0.0.0/8")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Page: 1\r\n\r\nhi"
CA = trustme.CA()


@dataclass
class Server:
    """Answers each connection with the same bytes, and keeps what it was sent."""

    port: int
    asked: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    def url(self, path: str = "/", scheme: str = "http", host: str = "partner.test") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def serving(answer: bytes, *, certificate: str | None = None, hold: bool = False) -> Iterator[Server]:
    """With `hold` the connection stays open after the answer, until the caller ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                with _secured(plain, server, certificate) as connection:
                    asked = b""
                    while b"\r\n\r\n" not in asked and (part := connection.recv(65_536)):
                        asked += part
                    server.asked.append(asked)
                    connection.sendall(answer)
                    while hold and connection.recv(1):
                        pass
            except OSError:
                if listener.fileno() < 0:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _secured(plain: socket.socket, server: Server, certificate: str | None) -> socket.socket:
    if certificate is None:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(certificate).configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: server.names.append(name)
    return context.wrap_socket(plain, server_side=True)


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def to(*addresses: str) -> Callable[[str, int], tuple[Address, ...]]:
    return lambda _host, _port: tuple(map(ip_address, addresses))


def test_an_answer_has_its_status_its_headers_and_its_body() -> None:
    with serving(OK) as server:
        found = fetch(server.url("/v1/1?a=b"), headers={"X-Key": "x"}, allow=LOCAL, resolve=to("127.0.0.1"))
    assert found == Fetched(200, {"content-length": "2", "x-page": "1"}, b"hi")
    (asked,) = server.asked
    assert asked.startswith(b"GET /v1/1?a=b HTTP/1.1\r\n")
    assert f"Host: partner.test:{server.port}\r\n".encode() in asked
    assert b"X-Key: x\r\n" in asked


def test_a_body_is_posted() -> None:
    with serving(OK) as server:
        fetch(server.url(), method="POST", body=b"", allow=LOCAL, resolve=to("127.0.0.1"))
    assert server.asked[0].startswith(b"POST / HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    with (
        serving(OK) as inside,
        serving(
            f"HTTP/1.1 {status} Go\r\nLocation: {inside.url(host='127.0.0.1')}\r\nContent-Length: 0\r\n\r\n".encode()
        ) as server,
    ):
        found = fetch(server.url(), allow=LOCAL, resolve=to("127.0.0.1"))
    assert isinstance(found, Fetched)
    assert (found.status, inside.asked) == (status, [])


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"]])
def test_a_name_that_leads_inside_is_not_called(addresses: list[str]) -> None:
    with serving(OK) as server:
        assert isinstance(fetch(server.url(scheme="https"), resolve=to(*addresses)), Forbidden)
    assert server.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"])
def test_an_inner_host_is_not_called_with_the_systems_resolver(host: str) -> None:
    with serving(OK) as server:
        assert isinstance(fetch(server.url(scheme="https", host=host)), Forbidden)
        assert isinstance(fetch(server.url(host=host)), Forbidden)
    assert server.asked == []


def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    """A name that changes between check and connection changes nothing: it is resolved once."""
    answers = [("127.0.0.1",), ("127.0.0.2",)]
    with serving(OK) as server:
        fetch(server.url(), allow=allowed("127.0.0.1/32"), resolve=lambda h, p: to(*answers.pop(0))(h, p))
    assert len(answers) == 1
    assert len(server.asked) == 1


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with serving(OK) as server:
        found = fetch(server.url(), allow=LOCAL, resolve=to("127.0.0.9", "127.0.0.1"))
    assert isinstance(found, Fetched)


def test_the_certificate_is_the_names_and_the_name_is_told() -> None:
    with serving(OK, certificate="partner.test") as server:
        found = fetch(server.url(scheme="https"), allow=LOCAL, resolve=to("127.0.0.1"), tls=trusting())
    assert isinstance(found, Fetched)
    assert server.names == ["partner.test"]


@pytest.mark.parametrize(("name", "trusted"), [("other.test", True), ("127.0.0.1", True), ("partner.test", False)])
def test_a_certificate_of_somebody_else_ends_the_call_before_anything_is_told(name: str, trusted: bool) -> None:
    context = trusting() if trusted else None
    with serving(OK, certificate=name) as server:
        with pytest.raises(Unavailable, match=r"partner\.test"):
            fetch(server.url("/?token=hidden", "https"), allow=LOCAL, resolve=to("127.0.0.1"), tls=context)
        assert server.asked == []


BROKEN = {
    "no HTTP": b"220 mail.test ESMTP\r\n",
    "nothing": b"",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
    "cut off chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi",
    "101 headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n",
    "header without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    "11 bytes": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11,
    "11 bytes without length": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11,
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_answer_that_is_broken_or_too_large_is_no_answer_and_the_url_stays_unsaid(case: str) -> None:
    with serving(BROKEN[case]) as server, pytest.raises(Unavailable) as raised:
        fetch(server.url("/?token=hidden"), most_bytes=10, allow=LOCAL, resolve=to("127.0.0.1"))
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", b"HTTP/1.1 200 OK\r\n\r\nhi"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_ends_is_left_at_the_deadline(sent: bytes, scheme: str) -> None:
    certificate = "partner.test" if scheme == "https" else None
    with serving(sent, hold=True, certificate=certificate) as server, pytest.raises(Unavailable):
        fetch(server.url(scheme=scheme), timeout_s=0.2, allow=LOCAL, resolve=to("127.0.0.1"), tls=trusting())


def test_a_server_that_is_slow_to_say_hello_is_left_at_the_deadline() -> None:
    with serving(b"", hold=True) as server, pytest.raises(Unavailable):
        fetch(server.url(scheme="https"), timeout_s=0.2, allow=LOCAL, resolve=to("127.0.0.1"))


def test_nobody_there_is_trouble_of_the_network() -> None:
    with serving(OK) as server:
        pass
    for resolve in (to("127.0.0.1"), to()):
        with pytest.raises(Unavailable):
            fetch(server.url(), allow=Allow(frozenset({("partner.test", None)})), resolve=resolve)


def test_a_name_that_is_not_known_is_trouble_of_the_network() -> None:
    with pytest.raises(Unavailable, match=r"nobody\.invalid"):
        fetch("https://nobody.invalid/")
