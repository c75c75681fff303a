"""The home directory of the embedded parts: its lock, and the ports and the password that stay between runs."""

import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.settings import EmbeddedSettings

MIN_FREE_BYTES = 512 * 1024 * 1024
# Below the range that systems hand out for outgoing connections, so that a port is still free at the next start.
PORT_RANGE = (20_000, 32_000)


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
        for folder in ("", "run", "logs"):
            (home / folder).mkdir(mode=0o755, parents=True, exist_ok=True)
        if shutil.disk_usage(home).free < MIN_FREE_BYTES:
            raise EmbeddedError(
                f"The disk that holds {home} has less than 512 MB free: free some space or set CAUDAL_HOME."
            )
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise EmbeddedError(
            f"Caudal already runs on {home}: stop it with `caudal down`, or set CAUDAL_HOME to run a second one."
        ) from None
    try:
        yield home
    finally:
        os.close(descriptor)


def read_addresses(home: Path) -> Addresses | None:
    """Addresses as the last start left them, or None where nothing was started yet."""
    file = home / "addresses.json"
    return Addresses(**json.loads(file.read_text())) if file.exists() else None


def settle_addresses(home: Path, settings: EmbeddedSettings) -> Addresses:
    """Choose this start's ports: as configured, else as last time, else free ones; and keep them."""
    old = read_addresses(home)
    addresses = Addresses(
        kafka_port=_port("kafka", settings.kafka_port, old.kafka_port if old else None),
        controller_port=_port("kafka", None, old.controller_port if old else None),
        postgres_port=_port("postgres", settings.postgres_port, old.postgres_port if old else None),
        postgres_password=old.postgres_password if old else secrets.token_urlsafe(18),
    )
    write_private(home / "addresses.json", json.dumps(asdict(addresses)))
    return addresses


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it."""
    draft = file.with_name(file.name + ".new")
    with disk_errors(file), open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)


def free_port() -> int:
    """Pick a port on which nothing listens on loopback."""
    candidates = (PORT_RANGE[0] + secrets.randbelow(PORT_RANGE[1] - PORT_RANGE[0]) for _ in range(1000))
    return next(port for port in candidates if is_free(port))


def _port(part: str, configured: int | None, last: int | None) -> int:
    if configured is not None:
        if not is_free(configured):
            name = f"CAUDAL_{part.upper()}"
            raise EmbeddedError(
                f"Port {configured} ({name}_PORT) is in use by another program: stop that program, "
                f"set another port, or point {name} at it."
            )
        return configured
    if last is not None and is_free(last):
        return last
    return free_port()


def is_free(port: int) -> bool:
    """Say whether nothing listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
