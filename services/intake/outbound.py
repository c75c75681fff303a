"""Calls to others' servers: to checked addresses only, without redirects, bounded in time and size."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Literal

from services.intake.outside import Address, Allow, Forbidden, Target, judged, target_of
from services.runtime.errors import Unavailable

Resolve = Callable[[str, int], tuple[Address, ...]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whatever its status; a redirect (3xx) is not followed. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolved(host: str, port: int) -> tuple[Address, ...]:
    """All addresses of a host, as the system resolves it; raises OSError. Takes as long as the system lets it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(address[0]) for *_, address in found))


def fetch(
    url: str,
    *,
    method: Literal["GET", "POST"] = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 10.0,
    most_bytes: int = 1_048_576,
    allow: Allow | None = None,
    resolve: Resolve = resolved,
    tls: ssl.SSLContext | None = None,
) -> Fetched | Forbidden:
    """One request and its answer within `timeout_s` after the name is resolved, or why it is not made.

    The name is resolved once, every address checked, and one of these connected to; the certificate must be the
    name's. Raises `Unavailable` when the server cannot be reached, breaks off, takes longer or answers more than
    `most_bytes`: its text names the host and never the rest of the URL, which may hold a token.
    """
    target = target_of(url)
    if isinstance(target, Forbidden):
        return target
    try:
        addresses = resolve(target.host, target.port)
        refusal = judged(target, addresses, allow or Allow())
        if refusal:
            return refusal
        return _asked(target, addresses, tls, method, dict(headers or {}), body, timeout_s, most_bytes)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"{target.host} did not answer as it should: {type(error).__name__}") from error


def _asked(
    target: Target, addresses: tuple[Address, ...], tls: ssl.SSLContext | None,
    method: str, headers: dict[str, str], body: bytes | None, timeout_s: float, most_bytes: int,
) -> Fetched:  # fmt: skip
    deadline = time.monotonic() + timeout_s
    with closing(_connected(target, addresses, tls, deadline)) as connection, _cut_at(deadline, connection):
        speaking = http.client.HTTPConnection(target.host, target.port)
        speaking.sock, speaking.auto_open = connection, 0  # never a connection of its own, with addresses of its own
        speaking.request(method, target.path, body, {**headers, "Host": target.authority, "Connection": "close"})
        answer = speaking.getresponse()
        content = answer.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise Unavailable(f"{target.host} answered more than {most_bytes} bytes")
    if answer.length or time.monotonic() >= deadline:
        raise Unavailable(f"{target.host} did not finish its answer within {timeout_s:g} s")
    return Fetched(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def _connected(
    target: Target, addresses: tuple[Address, ...], tls: ssl.SSLContext | None, deadline: float
) -> socket.socket:
    """A connection to the first address that takes one."""
    failure: OSError = OSError("no address")
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            plain = socket.create_connection((str(address), target.port), timeout=left)
        except OSError as error:
            failure = error
            continue
        return _secured(plain, target.host, tls or _public_roots(), deadline) if target.tls else plain
    raise failure


def _secured(plain: socket.socket, host: str, context: ssl.SSLContext, deadline: float) -> socket.socket:
    secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    try:
        with _cut_at(deadline, secured):
            secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


@contextmanager
def _cut_at(deadline: float, connection: socket.socket) -> Iterator[None]:
    """End the connection at the deadline: a timeout of its own begins anew with every byte that comes."""

    def cut() -> None:
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not the SSL socket's: it touches a session in use

    timer = threading.Timer(max(deadline - time.monotonic(), 0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def _public_roots() -> ssl.SSLContext:
    return ssl.create_default_context()
