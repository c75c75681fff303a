"""How far a worker is: whether it is behind, and until which moment its inputs are applied (DESIGN §4.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.runtime import fence, gaps
from services.runtime.holding import Holding
from services.runtime.postgres import Session, transaction
from services.runtime.transport import Consumer


@dataclass(slots=True)
class Lookout:
    """Compares what is applied with what the log held when it was asked. `behind`: records wait."""

    behind: bool = False

    @staticmethod
    def ask(consumer: Consumer, holding: Holding, now: datetime) -> None:
        """Ask for the ends of those partitions where everything asked for before is applied.

        Raises `LogGap` where a log ends before what is applied.
        """
        unasked = [p for p, held in holding.items() if held.asked is None]
        ends = consumer.ends(unasked) if unasked else {}
        gaps.refuse(consumer, {p: holding[p].applied for p, end in ends.items() if end < holding[p].applied})
        for p, end in ends.items():
            holding[p].asked = (now, end)

    def note_applied(self, session: Session, consumer: Consumer, holding: Holding, *, passed_over: bool) -> None:
        """Write down the moments of asking that are reached.

        `passed_over`: the consumer's position counts too, for what was polled is applied and what was passed over is
        no record. To ask for it for every batch and partition costs a tenth of analytics' time. Raises `LogGap` where
        what was passed over are records that the log has lost.
        """
        asked = {p: held.asked for p, held in holding.items() if held.asked}
        reached = {p: at for p, (at, end) in asked.items() if holding[p].applied >= end}
        if passed_over:
            passed = {p: at for p, (at, end) in asked.items() if p not in reached and consumer.position(p) >= end}
            known = {p: holding[p].comes_next for p in passed}
            gaps.refuse(consumer, {p: offset for p, offset in known.items() if offset is not None})
            reached |= passed
        self.behind = reached.keys() != asked.keys()
        if reached:
            with transaction(session) as cursor:
                fence.note_applied(cursor, {p: holding[p].epoch for p in reached}, reached)
            for p in reached:
                holding[p].asked = None
