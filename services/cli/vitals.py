"""How each process of an installation is: ready, not ready and why, or stopped; asked of the process itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from deploy.embedded import kafka
from deploy.embedded.process import same_process
from deploy.embedded.supervisor import ChildState, State, read_state

WAIT_S = 3.0
READY = "ready"
PATHS = {"mailbox": ("/count",)}
PROBED = ("/readyz", "/healthz")
"""The console has no /readyz: that it lives is all that it says."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One process: `health` is `ready`, `not ready: REASON` or `stopped: REASON`, `port` where it is asked."""

    child: ChildState
    health: str
    pid: int | None
    port: int | None

    @property
    def well(self) -> bool:
        """Whether it does its work."""
        return self.health == READY

    def as_json(self) -> dict[str, Any]:
        """What the supervisor noted of it, with what it says itself."""
        return self.child.model_dump(mode="json") | {"health": self.health, "pid": self.pid, "port": self.port}


def states(home: Path) -> Iterator[State]:
    """The supervisor of this home, if one is alive, and each `caudal run` beside it."""
    for folder in (home, *sorted((home / "run").glob("*/"))):
        if state := read_state(folder):
            yield state


def vitals(state: State) -> list[Vital]:
    """Ask every process of a supervisor, all at once."""
    with ThreadPoolExecutor(max(1, len(state.children))) as pool:
        return list(pool.map(lambda child: vital(child, state), state.children))


def vital(child: ChildState, state: State) -> Vital:
    """Ask one process."""
    process = None if child.down else same_process(child.pid, child.started)
    if process is None:
        health, port = f"stopped: {child.down or 'it ended, and is started again'}", None
    elif child.name == "postgres":
        health, port = ask_database(state.postgres or ""), _port(state.postgres)
    elif child.name == "kafka":
        health, port = ask_broker(state.kafka or ""), _port(state.kafka)
    else:
        health, port = _asked(child.name, _listens(process))
    return Vital(child, health, process.pid if process else None, port)


def ask_database(dsn: str) -> str:
    """Health of a PostgreSQL server."""
    try:
        psycopg2.connect(dsn, connect_timeout=int(WAIT_S)).close()
    except psycopg2.Error as error:
        return f"not ready: {str(error).strip().splitlines()[0]}"
    return READY


def ask_broker(servers: str) -> str:
    """Health of a Kafka cluster."""
    return READY if any(map(kafka.answers, servers.split(","))) else f"not ready: the broker {servers} does not answer"


def _port(address: str | None) -> int | None:
    digits = (address or "").rpartition(":")[2].partition("/")[0]
    return int(digits) if digits.isdigit() else None


def _listens(process: psutil.Process) -> list[int]:
    """Ports on which the process or one of its own listens, the lowest first."""
    found: set[int] = set()
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            found |= {c.laddr.port for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    return sorted(found)


def _asked(name: str, ports: list[int]) -> tuple[str, int | None]:
    """What the first port says that speaks HTTP."""
    kind = name.partition("-")[0]
    for port in ports:
        for path in PATHS.get(kind, PROBED):
            answer = _get(f"http://127.0.0.1:{port}{path}")
            if answer is not None and answer[0] != 404:
                return (READY if answer[0] == 200 else f"not ready: {_why(answer[1])}"), port
    return "not ready: no answer " + (f"on port {', '.join(map(str, ports))}" if ports else "yet, it starts"), None


def _get(url: str) -> tuple[int, str] | None:
    """Status and text; None where nobody speaks HTTP."""
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:  # noqa: S310 - our own loopback URL
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, HTTPException):
        return None


def _why(said: str) -> str:
    """Intake tells its reason as JSON, a worker as a line."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(said)["why"])
    return (said.strip().splitlines() or ["no reason given"])[0]
