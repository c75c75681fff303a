"""The installation that a command talks to: where its parts are, its secret, its keys, its ledger."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import typer

from deploy.embedded.home import write_private
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import read_state
from services.cli.ports import Ports, settle_ports

LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Installation:
    """Addresses of a running installation, and the folder that holds what belongs to it."""

    home: Path
    kafka: str
    postgres: str
    ports: Ports

    @property
    def ledger(self) -> Path:
        """Folder of the senders' own logs of acknowledged submissions."""
        return self.home / LEDGER


def home() -> Path:
    """Folder of this installation's data (`CAUDAL_HOME`, by default `.caudal` here)."""
    return EmbeddedSettings().home.expanduser().absolute()


def running() -> Installation:
    """The installation that runs here, or the cluster that the environment names; else a sentence and exit code 1."""
    settings, folder = EmbeddedSettings(), home()
    state = read_state(folder)
    kafka = (state.kafka if state else None) or settings.kafka
    postgres = (state.postgres if state else None) or settings.postgres
    if not kafka or not postgres:
        typer.echo(
            "Caudal does not run here: start it with `caudal up`, or set CAUDAL_KAFKA and CAUDAL_POSTGRES.", err=True
        )
        raise typer.Exit(1)
    return Installation(folder, kafka, postgres, settle_ports(folder))


def installation_secret(folder: Path) -> str:
    """The installation's secret: `CAUDAL_SECRET`, else made once and kept beside the data for its owner alone."""
    if given := os.environ.get("CAUDAL_SECRET"):
        return given
    file = folder / "secret"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_private(file, secrets.token_urlsafe(48))
    return file.read_text().strip()


def source_keys(folder: Path) -> dict[str, str]:
    """API keys of the demo's sources as text, by source; empty before the first `caudal up`."""
    file = folder / "keys.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def keep_source_keys(folder: Path, keys: dict[str, str]) -> None:
    """Keep the text of freshly made keys, readable by the owner only."""
    write_private(folder / "keys.json", json.dumps(keys, indent=1))
