"""Ports of the services on this machine: as configured, else free ones that stay between runs."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from socket import socket

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.home import read_addresses, write_private
from deploy.embedded.ports import LOOPBACK, claim, demand, free_port, is_free, listening_homes
from deploy.embedded.supervisor import read_state
from services.cli.configured import configured


class PortSettings(BaseSettings):
    """Ports that the services listen on; 0 takes the usual one if it is free, else any free one, and keeps it."""

    model_config = SettingsConfigDict(env_prefix="CAUDAL_", frozen=True, extra="ignore")

    intake_port: int = Field(default=0, ge=0, le=65535, description="Port of intake's HTTP API; 0: 8410 or a free one")
    console_port: int = Field(default=0, ge=0, le=65535, description="Port of the console; 0: 8420 or a free one")
    mailbox_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the demo's mail catcher page; 0: 8430 or a free one"
    )
    smtp_port: int = Field(
        default=0, ge=0, le=65535,
        description="Port of the mail server; with `caudal up --mailbox` the catcher's; 0: 8425 or a free one",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports in use by this installation."""

    intake: int
    console: int
    mailbox: int
    smtp: int


USUAL = Ports(intake=8410, console=8420, mailbox=8430, smtp=8425)
OURS = {"intake": ("intake",), "console": ("console",), "mailbox": ("mailbox", "smtp")}
"""Each service that listens, and its ports."""


def settle_ports(folder: Path, services: Collection[str]) -> tuple[Ports, tuple[socket, ...]]:
    """Choose and keep the ports of a start, with the claims on them; EmbeddedError if a configured one cannot be had.

    `services` are about to listen, and nothing of this installation does: to be called with the home locked.
    """
    kept, given = _kept(folder), _given()
    listening = {name for service in services for name in OURS.get(service, ())}
    chosen = asdict(USUAL) | kept | given
    claims: dict[str, socket] = {}
    for name in listening & given.keys():
        claims[name] = _demanded(name, given[name])
    for name in sorted(listening - given.keys()):
        taken = {chosen[other] for other in (*given, *claims)}
        found = ((port, claimed) for port in _candidates(name, kept, taken) if (claimed := claim(port)))
        chosen[name], claims[name] = next(found)
    if chosen != kept:
        write_private(folder / "ports.json", json.dumps(chosen))
    return Ports(**chosen), tuple(claims.values())


def read_ports(folder: Path) -> Ports:
    """Ports of what runs here, as its start settled them; where nothing runs as configured, as kept, or the usual ones.

    Nothing is written and nothing tried.
    """
    kept, runs = _kept(folder), read_state(folder) is not None
    given = {} if runs and kept.keys() >= asdict(USUAL).keys() else _given()
    found = given | kept if runs else kept | given
    return Ports(**(asdict(USUAL) | found))


def known_ports(folder: Path) -> dict[str, int]:
    """Ports by name, those of the embedded parts too where they are settled."""
    parts = read_addresses(folder)
    return asdict(read_ports(folder)) | ({"kafka": parts.kafka_port, "postgres": parts.postgres_port} if parts else {})


def moved(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """A sentence for each port that was taken by another program, so that this installation chose another."""
    return [
        f"Port {old} of {name} was taken: it is {now[name]} from now on. Tell whoever sends there, or free the port "
        f"and set CAUDAL_{name.upper()}_PORT={old}."
        for name, old in before.items() if now.get(name, old) != old
    ]  # fmt: skip


def share_ports(folder: Path, service: str, ports: Ports) -> tuple[socket, ...]:
    """The claims on the ports of a service that is started beside others, unless those have them already.

    EmbeddedError if a port cannot be had; intake's own may share theirs.
    """
    beside = any(map(read_state, (folder, *(folder / "run").glob(f"{service}-[0-9]*"))))
    claims = []
    for name in OURS.get(service, ()):
        port = getattr(ports, name)
        if name != "intake" or listening_homes(port) != {str(folder)}:
            demand(port, f"CAUDAL_{name.upper()}_PORT", _host(name))
        if claimed := claim(port) if beside else _claimed(name, port):
            claims.append(claimed)
    return tuple(claims)


def taken_ports(ports: Ports) -> frozenset[int]:
    """The ports that nothing else may choose."""
    return frozenset(astuple(ports))


def answers(url: str) -> bool:
    """Whether this URL of our own answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == 200)
    except OSError:
        return False


def _demanded(name: str, port: int) -> socket:
    setting = f"CAUDAL_{name.upper()}_PORT"
    demand(port, setting, _host(name))
    return _claimed(name, port)


def _claimed(name: str, port: int) -> socket:
    if claimed := claim(port):
        return claimed
    raise EmbeddedError(
        f"Port {port} (CAUDAL_{name.upper()}_PORT) is taken by another installation, which just starts or starts its "
        f"{name} again: stop that one with `caudal down`, or set another port."
    )


def _candidates(name: str, kept: dict[str, int], taken: Collection[int]) -> Iterator[int]:
    """The port as last time, the usual one, then any: those on which nothing listens now."""
    for port in (kept.get(name, 0), getattr(USUAL, name)):
        if port and port not in taken and is_free(port, _host(name)):
            yield port
    while True:
        yield free_port(taken, _host(name))


def _given() -> dict[str, int]:
    settings = configured(PortSettings, *PortSettings.model_fields)
    return {name: port for name in asdict(USUAL) if (port := getattr(settings, f"{name}_port"))}


def _kept(folder: Path) -> dict[str, int]:
    file = folder / "ports.json"
    with disk_errors(folder):
        ports = json.loads(file.read_text()) if file.exists() else {}
    return {name: port for name, port in ports.items() if 0 < port < 65536}


def _host(name: str) -> str:
    """Where a service listens; what has no setting for it, on loopback."""
    return os.environ.get(f"CAUDAL_{name.upper()}_HOST", LOOPBACK) if name in ("intake", "console") else LOOPBACK
