"""Taking partitions over: raise their fences, publish what the owner before may not have published (DESIGN §4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime import fence, gaps, halt, pending
from services.runtime.frames import Frame
from services.runtime.holding import Holding, Position
from services.runtime.postgres import Session, transaction
from services.runtime.publisher import Publisher
from services.runtime.transport import Consumer, Partition


@dataclass(frozen=True, slots=True)
class Takeover:
    """Takes partitions for one worker. `confirmed`: names of gaps and halts that an operator has confirmed."""

    owner: str
    confirmed: frozenset[str]

    def take(
        self, session: Session, consumer: Consumer, publisher: Publisher, partitions: frozenset[Partition]
    ) -> tuple[Holding, int]:
        """The partitions as they are held from now on, and how many events were published that were left.

        Raises `Halted` where the service has stopped itself, `LogGap` where the log lost what comes next.
        """
        halt.refuse(session, self.confirmed)
        taken, left = self._raise_fences(session, partitions)
        epochs = {p: epoch for p, (epoch, _) in taken.items()}
        expected = {p: offset for p, (_, offset) in taken.items() if offset is not None}
        restart = gaps.refuse(consumer, expected, self.confirmed)
        if restart:
            with transaction(session) as cursor:
                fence.restart(cursor, epochs, restart)
        expected |= restart
        republished = _republish(session, publisher, epochs, left)
        return {p: Position(epoch, expected.get(p, 0), expected.get(p)) for p, epoch in epochs.items()}, republished

    def publish_orphans(self, session: Session, publisher: Publisher, counts: Mapping[str, int]) -> None:
        """Publish what is left of partitions that exist no more, under their fences."""
        with transaction(session) as cursor:
            orphans = pending.orphans(cursor, counts)
        if orphans:
            taken, left = self._raise_fences(session, orphans)
            _republish(session, publisher, {p: epoch for p, (epoch, _) in taken.items()}, left)

    def _raise_fences(
        self, session: Session, partitions: frozenset[Partition]
    ) -> tuple[dict[Partition, tuple[int, int | None]], dict[Partition, list[Frame]]]:
        """Epoch and next offset of each partition, and what the owner before left in `pending`."""
        with transaction(session) as cursor:
            taken = fence.take(cursor, partitions, self.owner)
            return taken, pending.load(cursor, partitions)


def _republish(
    session: Session, publisher: Publisher, epochs: fence.Epochs, left: Mapping[Partition, list[Frame]]
) -> int:
    """Publish what was left in `pending` and forget it; how many events."""
    items = [f for frames in left.values() for f in frames]
    if items:
        publisher.publish(session, epochs, items)
        pending.clear(session, {p: epochs[p] for p in left})
    return len(items)
