"""What a producer waits for when the broker has died under it."""

import time
from dataclasses import dataclass

from kafka.errors import KafkaTimeoutError

from services.runtime.kafka.producer import settle


@dataclass
class Forgotten:
    """A future that nobody completes."""

    def get(self, timeout: float) -> None:
        time.sleep(timeout)
        raise KafkaTimeoutError


@dataclass
class Acknowledged:
    """A future that is done."""

    def get(self, timeout: float) -> None: ...


def test_all_futures_share_one_deadline() -> None:
    """A hundred futures that the client forgot cost one timeout together, not a hundred."""
    started = time.monotonic()
    assert settle([Forgotten() for _ in range(100)], 0.1) == 100
    assert time.monotonic() - started < 1


def test_what_was_acknowledged_counts_even_after_the_deadline() -> None:
    """A future that is done needs no time."""
    assert settle([Forgotten(), *[Acknowledged()] * 3], 0.01) == 1
