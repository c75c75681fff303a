"""The home directory of the embedded parts: its lock, and the ports and the password that stay between runs."""

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.ports import demand, free_port, is_free
from deploy.embedded.settings import EmbeddedSettings

MIN_FREE_BYTES = 512 * 1024 * 1024
# A start in the background looks at the lock for a moment before its supervisor takes it.
LOCK_SECONDS, LOCK_TICK_SECONDS = 1.0, 0.05
# What older versions left open to all. The mode of a home that was there before is its owner's business.
ONCE_OPEN = {"run": 0o700, "logs": 0o700, "kafka": 0o700, "mail": 0o700, "ledger": 0o700, "crm.sqlite": 0o600}


@dataclass(frozen=True)
class Addresses:
    """Where the embedded parts listen on loopback; kept in `addresses.json`, readable by the owner only."""

    kafka_port: int
    controller_port: int
    postgres_port: int
    postgres_password: str

    @property
    def kafka(self) -> str:
        """Bootstrap string of the embedded broker."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def postgres(self) -> str:
        """DSN of the embedded PostgreSQL's own database."""
        return f"postgresql://postgres:{self.postgres_password}@127.0.0.1:{self.postgres_port}/postgres"


@contextmanager
def locked_home(path: Path) -> Iterator[Path]:
    """Hold the home directory alone; EmbeddedError where another process holds it, the disk is full or Python old."""
    if sys.version_info < (3, 11):  # noqa: UP036  a wheel may be unpacked by hand on an older interpreter
        raise EmbeddedError(f"Caudal needs Python 3.11 or newer and this is {sys.version.split()[0]}: use another one.")
    home = path.expanduser().absolute()
    with disk_errors(home):
        _make_private(home)
        if shutil.disk_usage(home).free < MIN_FREE_BYTES:
            raise EmbeddedError(
                f"The disk that holds {home} has less than 512 MB free: free some space or set CAUDAL_HOME."
            )
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _locked(descriptor):
        os.close(descriptor)
        raise EmbeddedError(
            f"Caudal already runs on {home}: stop it with `caudal down`, or set CAUDAL_HOME to run a second one."
        )
    try:
        yield home
    finally:
        os.close(descriptor)


def read_addresses(home: Path) -> Addresses | None:
    """Addresses as the last start left them, or None where nothing was started yet."""
    file = home / "addresses.json"
    return Addresses(**json.loads(file.read_text())) if file.exists() else None


def settle_addresses(home: Path, settings: EmbeddedSettings, taken: Collection[int] = ()) -> Addresses:
    """Choose this start's ports: as configured, else as last time, else free ones that nobody took; and keep them."""
    old = read_addresses(home)
    kafka = _port("kafka", settings.kafka_port, old.kafka_port if old else None, taken)
    postgres = _port("postgres", settings.postgres_port, old.postgres_port if old else None, {*taken, kafka})
    controller = _port("kafka", None, old.controller_port if old else None, {*taken, kafka, postgres})
    addresses = Addresses(kafka, controller, postgres, old.postgres_password if old else secrets.token_urlsafe(18))
    write_private(home / "addresses.json", json.dumps(asdict(addresses)))
    return addresses


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it."""
    draft = file.with_name(file.name + ".new")
    with disk_errors(file), open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)


def _make_private(home: Path) -> None:
    """Make the home and what every start needs in it for the owner alone, and close what was left open."""
    for folder in (home, home / "run", home / "logs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, mode in ONCE_OPEN.items():
        with suppress(FileNotFoundError):
            (home / name).chmod(mode)


def _locked(descriptor: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOCK_TICK_SECONDS)
        else:
            return True


def _port(part: str, configured: int | None, last: int | None, taken: Collection[int]) -> int:
    if configured is not None:
        name = f"CAUDAL_{part.upper()}"
        demand(configured, f"{name}_PORT", remedy=f"set another port, or point {name} at it")
        return configured
    if last is not None and last not in taken and is_free(last):
        return last
    return free_port(taken)
