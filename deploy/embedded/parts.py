"""Kafka and PostgreSQL together: what to start, and both for the time of a block."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import kafka, postgres
from deploy.embedded.children import Children
from deploy.embedded.home import locked_home, settle_addresses
from deploy.embedded.process import Child, end_stale
from deploy.embedded.settings import EmbeddedSettings


@dataclass(frozen=True)
class Parts:
    """Where the services find their broker (bootstrap string) and their database server (DSN)."""

    kafka: str
    postgres: str


@contextmanager
def running_parts(home: Path, settings: EmbeddedSettings | None = None) -> Iterator[Parts]:
    """Run broker and database under `home` for the time of the block; EmbeddedError if one does not come up.

    Without settings both are embedded on free ports, whatever the environment says.
    """
    with locked_home(home) as locked:
        parts, specs = prepare_parts(locked, settings or EmbeddedSettings.model_construct())
        children = Children(locked)
        try:
            children.start(specs)
            children.wait_ready()
            yield parts
        finally:
            children.stop([spec.name for spec in specs])


def prepare_parts(home: Path, settings: EmbeddedSettings) -> tuple[Parts, tuple[Child, ...]]:
    """Clear what an earlier run left and prepare what must be embedded; a part that the settings name is used as it is.

    The home must be locked by the caller.
    """
    end_stale(home)
    if settings.kafka and settings.postgres:
        return Parts(settings.kafka, settings.postgres), ()
    addresses = settle_addresses(home, settings)
    with ThreadPoolExecutor(2) as pool:
        preparing = []
        if not settings.postgres:
            preparing.append(pool.submit(postgres.prepare, home, addresses))
        if not settings.kafka:
            preparing.append(pool.submit(kafka.prepare, home, addresses, settings.kafka_heap))
        children = tuple(future.result() for future in preparing)
    return Parts(settings.kafka or addresses.kafka, settings.postgres or addresses.postgres), children
