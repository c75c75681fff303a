"""`caudal up` and `down`: the parts and the services as one thing that lives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from threading import Thread
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import Parts
from deploy.embedded.process import Child
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import Settled, State, start_detached, stop_detached, supervise
from services.cli.environment import check_listening
from services.cli.installation import home, installation_secret, settle_secret
from services.cli.ports import Ports, answers, known_ports, moved, read_ports, settle_ports, taken_ports
from services.runtime.errors import CaudalError

WORKERS = ("qualify", "router", "nurture", "analytics")
MODULES = {
    "intake": "services.intake.__main__",
    "intake-stream": "services.intake.stream",
    **{name: f"services.{name}.__main__" for name in WORKERS},
    "console": "services.analytics.console.__main__",
    "mailbox": "deploy.demo.mailbox",
}
out = Console(stderr=True, highlight=False)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is up.")] = False,
    workers: Annotated[int, typer.Option(help="Instances of each worker service.", min=1, max=32)] = 1,
    mailbox: Annotated[bool, typer.Option(help="Catch all mails on this machine and show them.")] = True,
) -> None:
    """Start Kafka, PostgreSQL and all services, and keep them alive.

    Example: caudal up --detach
    """
    folder = home()
    try:
        check_listening()
        before = known_ports(folder)
        if detach:
            flag = "--mailbox" if mailbox else "--no-mailbox"
            argv = [sys.executable, "-m", "services.cli", "up", "--workers", str(workers), flag]
            tell(start_detached(folder, argv), before)
            return
        names = (*(["mailbox"] if mailbox else []), "intake", *WORKERS, "console")
        code = supervise(
            EmbeddedSettings(),
            lambda p: service_children(p, names, workers),
            lambda: settle(names),
            lambda state: tell(state, before),
            stream_children,
        )
    except (EmbeddedError, CaudalError) as error:
        out.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


def down() -> None:
    """Stop what `caudal up` started here. Data stay.

    Example: caudal down
    """
    stopped = stop_detached(home())
    out.print("stopped" if stopped else "nothing runs here")


def settle(services: Collection[str]) -> Settled:
    """What stays for the life of an installation, before any of its processes: the secret, and the services' ports."""
    settle_secret(home())
    ports, claims = settle_ports(home(), services)
    return Settled(console_url(ports), taken_ports(ports), claims)


def prepare(parts: Parts) -> Ports:
    """For parts that run without `caudal up`: topics and default rule books, a secret and ports are there."""
    if not (home() / "ports.json").exists():
        for claimed in settle(MODULES).claims:
            claimed.detach()  # held as long as this process lives, as what it starts comes and goes
    opening().open_log(parts.kafka, home())
    return read_ports(home())


def opening() -> ModuleType:
    """The module with what is done on the log; not imported at the top, so that the broker can be started before."""
    return import_module("services.cli.opening")


def service_children(parts: Parts, names: Sequence[str], workers: int) -> Sequence[Child]:
    """Services that need no rule book to be started, with `workers` processes of each that reads the log."""
    Thread(target=opening).start()  # by the time the broker answers it is there
    ports = read_ports(home())
    return [c for name in names for c in children_of(name, parts, ports, workers if name in WORKERS else 1)]


def stream_children(parts: Parts) -> Sequence[Child]:
    """Prepare, then intake's worker: it reads the sources that write their own topic, and leads told by id only."""
    try:
        sources = opening().open_log(parts.kafka, home())
    except CaudalError as error:
        raise EmbeddedError(f"The topics and rule books could not be prepared: {error}.") from error
    return [_child("intake-stream", parts, read_ports(home()), "1", False, sources)]


def children_of(name: str, parts: Parts, ports: Ports, workers: int, prefix: str = "") -> list[Child]:
    """The processes of one service."""
    sources = opening().stream_sources(parts.kafka) if name == "intake-stream" else ()
    return [_child(name, parts, ports, f"{prefix}{n}", workers > 1, sources) for n in range(1, workers + 1)]


def _child(name: str, parts: Parts, ports: Ports, worker: str, numbered: bool, sources: Sequence[str]) -> Child:
    folder = home()
    env = {
        "CAUDAL_KAFKA": parts.kafka, "CAUDAL_POSTGRES": parts.postgres, "CAUDAL_WORKER": worker,
        "CAUDAL_SECRET": installation_secret(folder), "CAUDAL_HOME": str(folder),
        "CAUDAL_INTAKE_PORT": str(ports.intake), "CAUDAL_CONSOLE_PORT": str(ports.console),
        "CAUDAL_MAILBOX_PORT": str(ports.mailbox), "CAUDAL_SMTP_PORT": str(ports.smtp),
        **({"CAUDAL_SOURCES": ",".join(sources)} if sources else {}),
        "CAUDAL_SOURCE_SECRETS": os.environ.get("CAUDAL_SOURCE_SECRETS", str(folder / "source-secrets.json")),
        "CAUDAL_PUBLIC_URL": os.environ.get("CAUDAL_PUBLIC_URL", f"http://127.0.0.1:{ports.intake}"),
    }  # fmt: skip
    catcher = ("--smtp-port", str(ports.smtp), "--http-port", str(ports.mailbox), "--home", str(folder))
    arguments = catcher if name == "mailbox" else ()
    held = () if name == "mailbox" else ("deploy.embedded.held",)
    argv = (sys.executable, "-m", *held, MODULES[name], *arguments)
    return Child(f"{name}-{worker}" if numbered else name, argv, env, _ready_check(name, ports))


def _ready_check(name: str, ports: Ports) -> Callable[[], bool] | None:
    urls = {"intake": f"http://127.0.0.1:{ports.intake}/readyz", "console": f"http://127.0.0.1:{ports.console}/healthz"}
    return (lambda: answers(urls[name])) if name in urls else None


def console_url(ports: Ports) -> str:
    """Where a browser finds the console."""
    return f"http://127.0.0.1:{ports.console}/"


def tell(state: State, before: Mapping[str, int]) -> None:
    """Print where everything is, and which ports have moved since."""
    ports = read_ports(home())
    for line in moved(before, known_ports(home())):
        out.print(line, style="yellow", markup=False, soft_wrap=True)
    out.print(f"console  {console_url(ports)}\nintake   http://127.0.0.1:{ports.intake}/v1/leads")
    for child in state.children:
        if child.down:
            out.print(f"{child.name} stays down: {child.down}", style="red", markup=False)
    out.print(f"mails    http://127.0.0.1:{ports.mailbox}/\nkafka    {state.kafka}")
