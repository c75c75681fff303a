"""Child processes that leave no orphan: started in their own group, tied to this process, known by pid and start."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.embedded.errors import disk_errors
from deploy.embedded.home import write_private

TETHER = Path(__file__).with_name("tether.py")
STOP_SECONDS = 20.0
LOG_ROTATE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Child:
    """A process to run: `ready` says, by asking it, whether it serves; without one it is ready once started."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL  # sent by the kernel when the thread that started it ends
    uid: int = 0  # the user to become; 0 keeps the present one
    log: Path | None = None  # where it tells why it stopped, if not in its output


@dataclass(frozen=True)
class Running:
    """A child that was started, the time of its start (seconds since 1970), the log to read and what it printed."""

    child: Child
    process: subprocess.Popen[bytes]
    started: float
    log: Path
    output: Path

    @property
    def held(self) -> bool:
        """Whether its standard input is still open: `deploy.embedded.held` waits for the end of it."""
        return self.process.stdin is not None and not self.process.stdin.closed


def tethered(argv: Sequence[str], death_signal: int, uid: int = 0) -> list[str]:
    """Return the command that runs `argv` tied to this process's life and, where a uid is given, as that user."""
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(death_signal)), str(uid), *argv]


def finish(argv: Sequence[str], seconds: float, uid: int = 0, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, with `given` as its input; one that takes longer is killed: return code -9.

    In a group of its own, so that Ctrl-C in the terminal is for us alone.
    """
    command = tethered(argv, signal.SIGKILL, uid)
    try:
        return subprocess.run(command, input=given, cwd="/", capture_output=True, text=True, timeout=seconds,
                              check=False, process_group=0, umask=0o077)  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -signal.SIGKILL, "", f"not done after {seconds:.0f} s")


def start(child: Child, home: Path, held: bool = False) -> Running:
    """Start a child with its output in `logs/NAME.log`. The calling thread must live as long as the child.

    A held one has a standard input that stays open, all others one that is at its end. Its files are its owner's alone.
    """
    log = home / "logs" / f"{child.name}.log"
    with disk_errors(log):
        if log.exists() and log.stat().st_size > LOG_ROTATE_BYTES:
            log.replace(log.with_name(log.name + ".1"))
        with log.open("ab") as output:
            process = subprocess.Popen(tethered(child.argv, child.death_signal, child.uid),
                                       env={**os.environ, **child.env},
                                       stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                                       stdout=output, stderr=output, process_group=0, umask=0o077)  # fmt: skip
    started = psutil.Process(process.pid).create_time()
    note = {"pid": process.pid, "started": started, "stop_signal": int(child.stop_signal)}
    write_private(_pid_file(home, child), json.dumps(note))
    return Running(child, process, started, child.log or log, log)


def stop(running: Sequence[Running], home: Path, seconds: float = STOP_SECONDS) -> None:
    """Stop children in the order given: to all their stop signal, and SIGKILL to what still runs at the deadline."""
    deadline = time.monotonic() + seconds
    for one in running:
        with suppress(ProcessLookupError):
            one.process.send_signal(one.child.stop_signal)
    for one in running:
        with suppress(subprocess.TimeoutExpired):
            one.process.wait(max(0.0, deadline - time.monotonic()))
        end_group(one)
        one.process.wait()
        _pid_file(home, one.child).unlink(missing_ok=True)


def end_group(running: Running) -> None:
    """Kill what is left of a child's process group, so that a worker of its own does not outlive it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(running.process.pid, signal.SIGKILL)


def end_stale(home: Path) -> None:
    """End what an earlier run left in this home: only processes whose pid and start time are those noted."""
    stale = []
    for file in (home / "run").glob("*.json"):
        with suppress(ValueError, KeyError, psutil.Error):
            note = json.loads(file.read_text())
            if process := same_process(note["pid"], note["started"]):
                process.send_signal(note["stop_signal"])
                stale.append(process)
        file.unlink(missing_ok=True)
    for process in psutil.wait_procs(stale, STOP_SECONDS)[1]:
        with suppress(psutil.Error):
            process.kill()


def same_process(pid: int, started: float) -> psutil.Process | None:
    """Return the living process with this pid, if it started at this time (seconds since 1970); else None."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        # The start is told in wall time: where the clock was set in between, it shifts a little.
        if abs(process.create_time() - started) < 2 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def reason(running: Running) -> str:
    """Say why a child stopped, by what it wrote last: a program that cannot even begin says so in its output."""
    written = [file for file in (running.log, running.output) if file.exists()]
    return last_words(max(written, key=lambda file: file.stat().st_mtime_ns, default=running.log))


def last_words(log: Path) -> str:
    """What the end of a log tells of why its process stopped, and where it is."""
    text = log.read_text(errors="replace")[-20_000:] if log.exists() else ""
    if "No space left on device" in text:
        return f"the disk that holds {log.parent.parent} is full, free some space or set CAUDAL_HOME"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\b(ERROR|FATAL|PANIC)\b", line)] or lines
    return f"see {log}" + (f", which says: {telling[-1][:200]}" if telling else "")


def _pid_file(home: Path, child: Child) -> Path:
    return home / "run" / f"{child.name}.json"
