"""The signals that ask a supervisor for an end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Asked:
    """Whether an end was asked for, and by the signal of which number."""

    event: Event = field(default_factory=Event)
    number: int = 0

    def __call__(self) -> bool:
        """Whether it was."""
        return self.event.is_set()

    def note(self, number: int, _: FrameType | None) -> None:
        """Take the first signal's number, and wake who waits."""
        self.number = self.number or number
        self.event.set()


@contextmanager
def stop_signals() -> Iterator[Asked]:
    """Note the signals that ask for an end, for the time of the block; under `nohup` a hang-up is none of them."""
    asked = Asked()
    numbers = [n for n in ASKING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, asked.note) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
