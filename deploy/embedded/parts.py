"""Kafka and PostgreSQL together: what to start, and both for the time of a block."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar

from deploy.embedded import kafka, postgres
from deploy.embedded.children import Children
from deploy.embedded.home import locked_home, settle_addresses
from deploy.embedded.process import Child, end_stale
from deploy.embedded.settings import EmbeddedSettings

TICK_SECONDS = 0.05
Prepared = TypeVar("Prepared")


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
        end_stale(locked)
        parts, specs = prepare_parts(locked, settings or EmbeddedSettings.model_construct())
        children = Children(locked)
        try:
            children.start(specs)
            children.wait_ready()
            yield parts
        finally:
            children.stop([spec.name for spec in specs])


def prepare_parts(
    home: Path,
    settings: EmbeddedSettings,
    taken: Collection[int] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[Parts, tuple[Child, ...]]:
    """Prepare what must be embedded, on ports that are not taken; a part that the settings name is used as it is.

    The home must be locked by the caller. Returns at once, with no child, when it is `stopping`: what is being prepared
    then ends with this process, and is begun anew by the next start.
    """
    if settings.kafka and settings.postgres:
        return Parts(settings.kafka, settings.postgres), ()
    addresses = settle_addresses(home, settings, taken)
    parts, preparing = Parts(settings.kafka or addresses.kafka, settings.postgres or addresses.postgres), []
    if not settings.postgres:
        preparing.append(begun(lambda: postgres.prepare(home, addresses)))
    if not settings.kafka:
        preparing.append(begun(lambda: kafka.prepare(home, addresses, settings.kafka_heap)))
    while wait(preparing, TICK_SECONDS).not_done:
        if stopping():
            return parts, ()
    return parts, tuple(future.result() for future in preparing)


def begun(prepare: Callable[[], Prepared]) -> Future[Prepared]:
    """What a thread that nobody has to wait for will have prepared: fetching the jars can take minutes."""
    future: Future[Prepared] = Future()

    def work() -> None:
        try:
            future.set_result(prepare())
        except BaseException as error:  # noqa: BLE001  whatever it is, the one who asks for the result gets it
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future
