"""Ports of this machine: which are free, who has the others, and the sentence about one that cannot be had."""

from __future__ import annotations

import errno
import secrets
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

from deploy.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
# Below the range that systems hand out for outgoing connections, so that a port is still free at the next start.
RANGE = (20_000, 32_000)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether nothing listens on this port and it may be opened."""
    return refusal(port, host) is None


def free_port(taken: Collection[int] = (), host: str = LOOPBACK) -> int:
    """Pick a port on which nothing listens and that is not taken otherwise."""
    candidates = (RANGE[0] + secrets.randbelow(RANGE[1] - RANGE[0]) for _ in range(1000))
    return next(port for port in candidates if port not in taken and is_free(port, host))


def refusal(port: int, host: str = LOOPBACK) -> OSError | None:
    """What the system says to one who wants to have this port alone; None: it is free.

    Without SO_REUSEPORT, so that a port which others share counts as taken too.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def demand(port: int, setting: str, host: str = LOOPBACK, remedy: str = "set another port") -> None:
    """EmbeddedError if the port that this setting names cannot be had: who has it, and what to do."""
    error = refusal(port, host)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise EmbeddedError(f"Port {port} ({setting}) is in use by {_holder(port)}, or {remedy}.")
    if error.errno == errno.EACCES:
        raise EmbeddedError(f"Port {port} ({setting}) may not be opened by this user: set one from 1024 on.")
    raise EmbeddedError(f"Port {port} ({setting}) of {host} cannot be opened ({error.strerror}): {remedy}.")


def claim(port: int) -> socket.socket | None:
    """Claim a port among the installations of this machine until the socket is closed; None: another start has it.

    Between the choice of a port and the moment when a service listens lie seconds, and so they do when one that died is
    started again. The claim is a name that the kernel forgets with the process (Linux); elsewhere it claims nothing.
    """
    claimed = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            claimed.bind(f"\0caudal-port-{port}")
    except OSError:
        claimed.close()
        return None
    return claimed


def listening_homes(port: int) -> frozenset[str]:
    """Homes of the installations whose services listen on this port; empty also if it cannot be known."""
    return frozenset(filter(None, map(_home, _listeners(port))))


def _holder(port: int) -> str:
    for process in _listeners(port):
        if home := _home(process):
            return f"the installation in {home}: stop that with `CAUDAL_HOME={home} caudal down`"
        with suppress(psutil.Error):
            return f"another program ({process.name()}, process {process.pid}): stop that program"
    return "another program: stop that program"


def _listeners(port: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                with suppress(psutil.Error):
                    yield psutil.Process(one.pid)


def _home(process: psutil.Process) -> str | None:
    """The home that a service works for: the supervisor gives each child a name of its own and the home."""
    with suppress(psutil.Error):
        environment = process.environ()
        return environment.get("CAUDAL_HOME") if "CAUDAL_WORKER" in environment else None
    return None
