"""HTTP ports of the services on this machine: as configured, else free ones that stay between runs."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.embedded.home import free_port, is_free, write_private


class PortSettings(BaseSettings):
    """Ports of the HTTP services; 0 takes the usual one if it is free, else any free one."""

    model_config = SettingsConfigDict(env_prefix="CAUDAL_", frozen=True, extra="ignore")

    intake_port: int = Field(default=0, description="Port of intake's HTTP API (usual: 8410)")
    console_port: int = Field(default=0, description="Port of the console (usual: 8420)")
    mailbox_port: int = Field(default=0, description="Port of the demo's mail catcher page (usual: 8430)")
    smtp_port: int = Field(default=0, description="Port of the mail server; with `caudal up --mailbox` the catcher's")


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports in use by this installation."""

    intake: int
    console: int
    mailbox: int
    smtp: int


USUAL = Ports(intake=8410, console=8420, mailbox=8430, smtp=8425)


def settle_ports(folder: Path) -> Ports:
    """This installation's ports; chosen at the first call and kept in `ports.json`."""
    file, settings = folder / "ports.json", PortSettings()
    kept = json.loads(file.read_text()) if file.exists() else {}
    ports = Ports(**{
        name: getattr(settings, f"{name}_port") or kept.get(name) or (usual if is_free(usual) else free_port())
        for name, usual in asdict(USUAL).items()
    })  # fmt: skip
    if asdict(ports) != kept:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(file, json.dumps(asdict(ports)))
    return ports


def answers(url: str) -> bool:
    """Whether this URL of our own answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == 200)
    except OSError:
        return False
