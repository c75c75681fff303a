"""The installation that a command talks to: where its parts are, its secret, its keys, its ledger."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import typer

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.home import write_private
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import last_noted, read_state
from services.cli.configured import configured, refused_secret
from services.cli.ports import Ports, read_ports
from services.runtime.errors import SettingsInvalid

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
    folder = configured(EmbeddedSettings, "home").home.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise EmbeddedError(f"{folder} is a file: set CAUDAL_HOME to a directory of your own.")
    return folder


def is_known() -> bool:
    """Whether anything runs here, or the environment names a cluster."""
    return read_state(home()) is not None or configured(EmbeddedSettings, "kafka").kafka is not None


def running() -> Installation:
    """The installation that runs here, or the cluster that the environment names; else a sentence and exit code 1."""
    folder = home()
    state = read_state(folder)
    settings = configured(EmbeddedSettings, *(part for part in ("kafka", "postgres") if not getattr(state, part, None)))
    kafka = (state.kafka if state else None) or settings.kafka
    postgres = (state.postgres if state else None) or settings.postgres
    if not kafka or not postgres:
        typer.echo(
            "Caudal does not run here: start it with `caudal up`, or set CAUDAL_KAFKA and CAUDAL_POSTGRES.", err=True
        )
        raise typer.Exit(1)
    return Installation(folder, kafka, postgres, read_ports(folder))


class Stopped(EmbeddedError):
    """What ran in a folder was stopped in order."""


def check_runs(folder: Path) -> None:
    """EmbeddedError if what ran in this folder does not any more, or a process of it stays down; `Stopped` if asked."""
    if state := read_state(folder):
        for child in state.children:
            if child.down:
                raise EmbeddedError(
                    f"{child.name} stays down: {child.down}. Mend that; `caudal down`, then `caudal demo` begin anew."
                )
        return
    noted = last_noted(folder)
    if noted is None:
        raise Stopped(f"Caudal was stopped on {folder}, as by `caudal down`; `make run` or `caudal demo` begin anew.")
    why = (noted.failed or "it was killed").rstrip(".")
    raise EmbeddedError(f"Caudal does not run on {folder} any more ({why}): begin anew with `caudal demo`.")


def installation_secret(folder: Path) -> str:
    """The installation's secret: `CAUDAL_SECRET`, else the one that its first start made. Nothing is written."""
    if wrong := list(refused_secret()):
        raise SettingsInvalid(wrong[0])
    if given := os.environ.get("CAUDAL_SECRET"):
        return given
    with disk_errors(folder):
        try:
            return (folder / "secret").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedError(
                f"{folder} holds no secret: set CAUDAL_SECRET to the one of the installation, or start one here with "
                "`caudal up`."
            ) from None


def settle_secret(folder: Path) -> None:
    """Make the secret, readable by the owner only, unless there is one; of two who make it at once, one does."""
    file, draft = folder / "secret", folder / f"secret.{os.getpid()}"
    if os.environ.get("CAUDAL_SECRET") or file.exists():
        return
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(draft, secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()


def source_keys(folder: Path) -> dict[str, str]:
    """API keys of the demo's sources as text, by source; empty before the first `caudal up`."""
    file = folder / "keys.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def keep_source_keys(folder: Path, keys: dict[str, str]) -> None:
    """Keep the text of freshly made keys, readable by the owner only."""
    write_private(folder / "keys.json", json.dumps(keys, indent=1))
