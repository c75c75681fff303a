"""Named places where tests make a process die or stand still.

`CAUDAL_FAULT=point:n` kills the process with SIGKILL when it passes `point` for the n-th time;
`CAUDAL_FAULT=stop@point:n` stops it (SIGSTOP) instead. Points: in_transaction, after_db, before_produce,
after_produce, after_commit; outbox.before_produce, outbox.after_produce; after_claim, after_call.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """Counts passages and strikes when the armed one comes. `strike` is what happens then."""

    point: str = ""
    passage: int = 0
    strike: Callable[[], None] = lambda: None
    _passed: Counter[str] = field(default_factory=Counter)

    def passed(self, point: str) -> None:
        """This process is at `point` now."""
        if self.point != point:
            return
        self._passed[point] += 1
        if self._passed[point] == self.passage:
            print(f"fault hit: {point} {self.passage}", file=sys.stderr, flush=True)
            self.strike()


def armed(text: str) -> Faults:
    """The fault that a text like `after_db:3` or `stop@after_db:3` describes; none for an empty text."""
    if not text:
        return Faults()
    action, _, rest = text.rpartition("@")
    point, _, passage = rest.partition(":")
    number = signal.SIGSTOP if action == "stop" else signal.SIGKILL
    return Faults(point, int(passage or 1), lambda: os.kill(os.getpid(), number))
