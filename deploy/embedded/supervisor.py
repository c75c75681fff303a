"""`caudal up`: the parts, then the services, kept alive until a signal; and the same in the background."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import psutil
from pydantic import BaseModel, ConfigDict

from deploy.embedded.children import Children
from deploy.embedded.errors import EmbeddedError, disk_errors
from deploy.embedded.home import locked_home, write_private
from deploy.embedded.parts import Parts, begun, prepare_parts
from deploy.embedded.process import STOP_SECONDS, Child, end_stale, last_words, same_process
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.signals import Asked, stop_signals

TICK_SECONDS = 0.1
# Services first, then the parts, each with its own deadline.
FULL_STOP_SECONDS = 2 * STOP_SECONDS + 5


class ChildState(BaseModel):
    """A child as the state file shows it; `started` in seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    started: float
    restarts: int
    log: Path
    down: str | None = None
    """Why it stays down until an operator has looked; None: it runs, or is started again."""


class State(BaseModel):
    """What runs in a home, as `state.json` there says; it holds the DSN's password, so only the owner can read it."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    ready: bool = False
    failed: str | None = None
    kafka: str | None = None
    postgres: str | None = None
    console: str | None = None
    children: tuple[ChildState, ...] = ()


@dataclass(frozen=True)
class Settled:
    """What is settled for one start once the home is ours: the console's address, and ports that no part may take."""

    console: str | None = None
    taken: frozenset[int] = frozenset()
    claims: tuple[socket, ...] = ()
    """Held as long as the installation runs."""


def supervise(
    settings: EmbeddedSettings,
    services: Callable[[Parts], Sequence[Child]],
    settle: Callable[[], Settled] = Settled,
    on_ready: Callable[[State], None] = lambda state: None,
    prepare: Callable[[Parts], Sequence[Child]] = lambda parts: (),
) -> int:
    """Run the parts and the services that `services` names, until SIGTERM, SIGINT or SIGHUP.

    First `settle` is called, with the home locked and nothing running in it. Services start at once and are held until
    the parts answer and `prepare`, which may name more, has returned. To be called on the main thread. Returns the exit
    code: 0, or 128 and the signal's number where it came before all was ready. EmbeddedError when something cannot
    start or keeps dying; all is stopped then too.
    """
    with stop_signals() as asked, locked_home(settings.home) as home:
        own = State(pid=os.getpid(), started=psutil.Process().create_time())
        try:
            ready = _run(home, settings, services, settle, prepare, asked, own, on_ready)
        except EmbeddedError as error:
            _write(home, own.model_copy(update={"failed": str(error)}))
            raise
        (home / "state.json").unlink(missing_ok=True)
    return 0 if ready else 128 + asked.number


def read_state(home: Path) -> State | None:
    """Return what runs in this home, or None where no supervisor is alive there."""
    state = last_noted(home)
    return state if state and same_process(state.pid, state.started) else None


def last_noted(home: Path) -> State | None:
    """What the last supervisor of this home noted, alive or not; None where it was stopped in order."""
    file = home.expanduser().absolute() / "state.json"
    with disk_errors(file.parent), suppress(FileNotFoundError, ValueError):
        return State.model_validate_json(file.read_bytes())
    return None


@dataclass(frozen=True)
class Launch:
    """A supervisor that was started in a session of its own."""

    home: Path
    process: subprocess.Popen[bytes]
    log: Path


def start_detached(home: Path, argv: Sequence[str]) -> State:
    """Run `argv`, a command that ends in `supervise`, in a session of its own; return once all is ready.

    EmbeddedError with its sentence if it fails, or if one runs there already. Its output is in `logs/supervisor.log`.
    """
    with stop_signals() as asked:  # in this moment none may leave behind what nobody knows of
        launched = launch(home, argv)
    if asked():
        stop_launched(launched)
        raise SystemExit(128 + asked.number)
    return await_launched(launched)


def launch(home: Path, argv: Sequence[str]) -> Launch:
    """The first half of `start_detached`; EmbeddedError if one runs there already."""
    with locked_home(home) as locked:  # told here, where the caller can see it
        (locked / "state.json").unlink(missing_ok=True)
        log = locked / "logs" / "supervisor.log"
    with disk_errors(log), log.open("ab") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    return Launch(locked, process, log)


def await_launched(
    launched: Launch, enough: Callable[[State], bool] = lambda state: state.ready, seconds: float = 300.0
) -> State:
    """The second half of `start_detached`: return once `enough` says so, by default once all is ready.

    Whatever else ends the waiting, Ctrl-C too, ends the supervisor.
    """
    deadline = time.monotonic() + seconds
    try:
        while launched.process.poll() is None and time.monotonic() < deadline:
            state = read_state(launched.home)
            if state and state.pid == launched.process.pid and enough(state):
                return state
            time.sleep(TICK_SECONDS)
    except BaseException:
        stop_launched(launched)
        raise
    failed = last_noted(launched.home)
    stop_launched(launched)
    told = failed.failed if failed and failed.pid == launched.process.pid else None
    raise EmbeddedError(told or f"Caudal did not come up: {last_words(launched.log)}.")


def stop_launched(launched: Launch) -> None:
    """Stop this supervisor and wait until it is gone, however far it has come."""
    if launched.process.poll() is None:
        _end(psutil.Process(launched.process.pid), FULL_STOP_SECONDS)


def stop_detached(home: Path, seconds: float = FULL_STOP_SECONDS) -> bool:
    """Stop the supervisor of this home and wait until it is gone; False where none runs."""
    state = read_state(home)
    process = same_process(state.pid, state.started) if state else None
    if process:
        _end(process, seconds)
    return process is not None


def _run(
    home: Path,
    settings: EmbeddedSettings,
    services: Callable[[Parts], Sequence[Child]],
    settle: Callable[[], Settled],
    prepare: Callable[[Parts], Sequence[Child]],
    asked: Asked,
    own: State,
    on_ready: Callable[[State], None],
) -> bool:
    """Whether all was ready before it was asked to end."""
    end_stale(home)
    settled = settle()
    own = own.model_copy(update={"console": settled.console})
    _write(home, own)
    parts, specs = prepare_parts(home, settings, settled.taken, asked)
    own = own.model_copy(update={"kafka": parts.kafka, "postgres": parts.postgres})
    children = Children(home)
    try:
        if not asked():
            children.start(specs)
            children.start(services(parts), held=True)
            children.wait_ready(stopping=asked)
        if not asked():
            _release(children, lambda: prepare(parts), asked)
            _write(home, _with_children(own, children))
            children.wait_ready(stopping=asked)
        own = own.model_copy(update={"ready": not asked()})
        _write(home, _with_children(own, children))
        if own.ready:
            on_ready(_with_children(own, children))
        while not asked.event.wait(TICK_SECONDS):
            if children.mend(time.monotonic()):
                _write(home, _with_children(own, children))
    finally:
        part_names = [spec.name for spec in specs]
        children.stop([name for name in children.running if name not in part_names])
        children.stop(part_names)
    return own.ready


def _release(children: Children, prepare: Callable[[], Sequence[Child]], asked: Asked) -> None:
    """Let the services work once all is prepared, which may take minutes; not at all when an end is asked for."""
    preparing = begun(prepare)
    while wait([preparing], TICK_SECONDS).not_done:
        if asked():
            return
    more = preparing.result()
    children.release()
    children.start(more)


def _with_children(state: State, children: Children) -> State:
    return state.model_copy(update={"children": tuple(
        ChildState(name=name, pid=one.process.pid, started=one.started, restarts=children.restarts[name], log=one.log,
                   down=children.down.get(name))
        for name, one in children.running.items())})  # fmt: skip


def _end(process: psutil.Process, seconds: float) -> None:
    """Ask for an end, and insist after a while. One that has ended counts, also where its parent has not looked yet."""
    deadline = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        started = process.create_time()
        process.terminate()
        while same_process(process.pid, started):
            if time.monotonic() > deadline:
                process.kill()  # its children are tied to it
                break
            time.sleep(TICK_SECONDS)


def _write(home: Path, state: State) -> None:
    write_private(home / "state.json", state.model_dump_json(indent=1))
