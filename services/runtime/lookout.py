"""How far a worker is: whether it is behind, and until which moment its inputs are applied (DESIGN §4.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.runtime import fence
from services.runtime.holding import Holding, Position
from services.runtime.postgres import Session, transaction
from services.runtime.transport import Consumer, Partition


@dataclass(slots=True)
class Lookout:
    """Compares what is applied with what the log held when it was asked. `behind`: records wait."""

    behind: bool = False

    @staticmethod
    def ask(consumer: Consumer, holding: Holding, now: datetime) -> None:
        """Ask for the ends of those partitions where everything asked for before is applied."""
        unasked = [p for p, held in holding.items() if held.asked is None]
        for p, end in (consumer.ends(unasked) if unasked else {}).items():
            holding[p].asked = (now, end)

    def note_applied(self, session: Session, consumer: Consumer, holding: Holding, *, passed_over: bool) -> None:
        """Write down the moments of asking that are reached.

        `passed_over`: the consumer's position counts too, for what was polled is applied and what was passed over is
        no record. To ask for it for every batch and partition costs a tenth of analytics' time.
        """
        asked = {p: held.asked for p, held in holding.items() if held.asked}
        reached = {
            p: at for p, (at, end) in asked.items() if _reached(p, holding[p], end, consumer if passed_over else None)
        }
        self.behind = reached.keys() != asked.keys()
        if reached:
            with transaction(session) as cursor:
                fence.note_applied(cursor, {p: holding[p].epoch for p in reached}, reached)
            for p in reached:
                holding[p].asked = None


def _reached(partition: Partition, held: Position, end: int, consumer: Consumer | None) -> bool:
    return held.applied >= end or (consumer is not None and consumer.position(partition) >= end)
