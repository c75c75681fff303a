"""`caudal up`, `down`, `status`, `run`: the parts and the services as one thing that lives."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import Parts
from deploy.embedded.process import Child
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import State, read_state, start_detached, stop_detached, supervise
from schemas.topics import all_topics, source_topic
from services.cli import books
from services.cli.installation import home, installation_secret, keep_source_keys, running, source_keys
from services.cli.ports import Ports, settle_ports
from services.runtime.kafka import create_topics
from services.runtime.settings import RuntimeSettings

WORKERS = ("qualify", "router", "nurture", "analytics")
MODULES = {
    "intake": "services.intake",
    "intake-stream": "services.intake.stream",
    **{name: f"services.{name}" for name in WORKERS},
    "console": "services.analytics.console",
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
    settings = EmbeddedSettings()
    try:
        if detach:
            flag = "--mailbox" if mailbox else "--no-mailbox"
            argv = [sys.executable, "-m", "services.cli", "up", "--workers", str(workers), flag]
            tell(start_detached(settings.home, argv))
        else:
            supervise(settings, lambda p: service_children(p, workers, mailbox), console_url(home()), tell)
    except EmbeddedError as error:
        out.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def down() -> None:
    """Stop what `caudal up` started here. Data stay.

    Example: caudal down
    """
    stopped = stop_detached(home())
    out.print("stopped" if stopped else "nothing runs here")


def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what runs here: processes, restarts, addresses.

    Example: caudal status
    """
    state = read_state(home())
    if state is None:
        typer.echo("nothing runs here; start it with `caudal up`", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(state.model_dump_json(exclude={"postgres"}, indent=1))
        return
    table = Table("process", "pid", "restarts", "log")
    for child in state.children:
        table.add_row(child.name, str(child.pid), str(child.restarts), os.path.relpath(child.log))
    out.print(table)
    tell(state)


def run(
    service: Annotated[str, typer.Argument(help=f"One of: {', '.join(MODULES)}.")],
    workers: Annotated[int, typer.Option(help="Processes of this service.", min=1, max=32)] = 1,
) -> None:
    """Run one service in the foreground on the installation that is up, or on your own cluster.

    Example: CAUDAL_KAFKA=broker:9092 CAUDAL_POSTGRES=postgresql://db/caudal caudal run router --workers 2
    """
    if service not in MODULES:
        out.print(f"no service {service!r}: choose one of {', '.join(MODULES)}", style="red", markup=False)
        raise typer.Exit(2)
    here = running()
    children = children_of(service, Parts(here.kafka, here.postgres), here.ports, workers, f"{os.getpid()}-")
    settings = EmbeddedSettings(
        home=here.home / "run" / f"{service}-{os.getpid()}", kafka=here.kafka, postgres=here.postgres
    )
    try:
        supervise(settings, lambda _: children)
    except EmbeddedError as error:
        out.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def prepare(parts: Parts) -> Ports:
    """Once the parts answer: topics and default rule books exist before the first service starts."""
    folder, settings = home(), RuntimeSettings()
    topics = tuple(all_topics(settings.source_names(), settings.destination_names()))
    create_topics(parts.kafka, topics, settings.partitions)
    if keys := books.publish_missing_defaults(parts.kafka):
        keep_source_keys(folder, source_keys(folder) | keys)
    create_topics(parts.kafka, tuple(map(source_topic, stream_sources(parts.kafka))), settings.partitions)
    return settle_ports(folder)


def service_children(parts: Parts, workers: int, mailbox: bool) -> Sequence[Child]:
    """All services, with `workers` processes of each that reads the log."""
    ports = prepare(parts)
    names = ["mailbox"] if mailbox else []
    names += ["intake", *WORKERS, "console", *(["intake-stream"] if stream_sources(parts.kafka) else [])]
    return [c for name in names for c in children_of(name, parts, ports, workers if name in WORKERS else 1)]


def stream_sources(servers: str) -> tuple[str, ...]:
    """Sources that write their own Kafka topic: of the active book, and those that `CAUDAL_SOURCES` adds."""
    return tuple(sorted({*books.kafka_sources(servers), *RuntimeSettings().source_names()}))


def children_of(name: str, parts: Parts, ports: Ports, workers: int, prefix: str = "") -> list[Child]:
    """The processes of one service."""
    return [_child(name, parts, ports, f"{prefix}{n}", workers > 1) for n in range(1, workers + 1)]


def _child(name: str, parts: Parts, ports: Ports, worker: str, numbered: bool) -> Child:
    folder = home()
    sources = stream_sources(parts.kafka) if name == "intake-stream" else ()
    env = {
        "CAUDAL_KAFKA": parts.kafka, "CAUDAL_POSTGRES": parts.postgres, "CAUDAL_WORKER": worker,
        "CAUDAL_SECRET": installation_secret(folder), "CAUDAL_HOME": str(folder),
        "CAUDAL_INTAKE_PORT": str(ports.intake), "CAUDAL_CONSOLE_PORT": str(ports.console),
        "CAUDAL_MAILBOX_PORT": str(ports.mailbox), "CAUDAL_SMTP_PORT": str(ports.smtp),
        **({"CAUDAL_SOURCES": ",".join(sources)} if sources else {}),
        "CAUDAL_PUBLIC_URL": os.environ.get("CAUDAL_PUBLIC_URL", f"http://127.0.0.1:{ports.intake}"),
    }  # fmt: skip
    catcher = ("--smtp-port", str(ports.smtp), "--http-port", str(ports.mailbox), "--home", str(folder))
    arguments = catcher if name == "mailbox" else ()
    argv = (sys.executable, "-m", MODULES[name], *arguments)
    return Child(f"{name}-{worker}" if numbered else name, argv, env, _ready_check(name, ports))


def _ready_check(name: str, ports: Ports) -> Callable[[], bool] | None:
    urls = {"intake": f"http://127.0.0.1:{ports.intake}/readyz", "console": f"http://127.0.0.1:{ports.console}/healthz"}
    return (lambda: answers(urls[name])) if name in urls else None


def answers(url: str) -> bool:
    """Whether this URL of our own answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == 200)
    except OSError:
        return False


def console_url(folder: Path) -> str:
    """Where a browser finds the console."""
    return f"http://127.0.0.1:{settle_ports(folder).console}/"


def tell(state: State) -> None:
    """Print where everything is."""
    ports = settle_ports(home())
    out.print(f"console  {console_url(home())}\nintake   http://127.0.0.1:{ports.intake}/v1/leads")
    out.print(f"mails    http://127.0.0.1:{ports.mailbox}/\nkafka    {state.kafka}")
