"""`caudal run`: one service in the foreground."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import Parts
from deploy.embedded.ports import free_port
from deploy.embedded.process import Child
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import Settled, supervise
from services.cli.environment import check_listening
from services.cli.installation import Installation, running, settle_secret
from services.cli.ports import Ports, share_ports, taken_ports
from services.cli.up import MODULES, children_of
from services.runtime.errors import CaudalError


def run(
    service: Annotated[str, typer.Argument(help=f"One of: {', '.join(MODULES)}.")],
    workers: Annotated[int, typer.Option(help="Processes of this service.", min=1, max=32)] = 1,
) -> None:
    """Run one service in the foreground on the installation that is up, or on your own cluster. Ctrl-C stops it.

    Example: CAUDAL_KAFKA=broker:9092 CAUDAL_POSTGRES=postgresql://db/caudal caudal run router --workers 2
    """
    if service not in MODULES:
        typer.echo(f"no service {service!r}: choose one of {', '.join(MODULES)}", err=True)
        raise typer.Exit(2)
    here = running()
    folder = here.home / "run" / f"{service}-{os.getpid()}"
    try:
        check_listening(shared=workers > 1)
        claims = share_ports(here.home, service, here.ports)
        settle_secret(here.home)
        parts = Parts(here.kafka, here.postgres)
        children = with_ports(children_of(service, parts, here.ports, workers, f"{os.getpid()}-"), here.ports)
        typer.echo("\n".join(told(service, children, here)), err=True)
        code = supervise(
            EmbeddedSettings(home=folder, kafka=here.kafka, postgres=here.postgres),
            lambda _: children,
            lambda: Settled(claims=claims),
        )
    except (EmbeddedError, CaudalError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{service} is stopped", err=True)
    raise typer.Exit(code)


def with_ports(children: Sequence[Child], ports: Ports) -> list[Child]:
    """Each with a port of its own for its health, so that it can be told: `CAUDAL_HEALTH_PORT`, else a free one."""
    given, taken = int(os.environ.get("CAUDAL_HEALTH_PORT") or 0), set(taken_ports(ports))
    chosen = []
    for child in children:
        port = given or free_port(taken)
        taken.add(port)
        chosen.append(replace(child, env={**child.env, "CAUDAL_HEALTH_PORT": str(port)}))
    return chosen


def told(service: str, children: Sequence[Child], here: Installation) -> Iterator[str]:
    """What runs, on what, where it is asked how it is, and how it ends."""
    what = f"{len(children)} processes" if len(children) > 1 else "one process"
    yield f"{service}: {what} on Kafka {here.kafka}"
    for child in children:
        log = here.home / "run" / f"{service}-{os.getpid()}" / "logs" / f"{child.name}.log"
        yield f"  {child.name}  {_address(service, child, here.ports)}  log {log}"
    yield "Ctrl-C stops it"


def _address(service: str, child: Child, ports: Ports) -> str:
    own = {"intake": ports.intake, "console": ports.console, "mailbox": ports.mailbox}
    path = {"console": "healthz", "mailbox": ""}.get(service, "readyz")
    return f"http://127.0.0.1:{own.get(service) or child.env['CAUDAL_HEALTH_PORT']}/{path}"
