"""What all uses of kafka-python share: its errors as ours, how long a request may take, what a record is.

Only this package imports kafka-python; writing goes through librdkafka (`writing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import KafkaError

from services.runtime.errors import Unavailable
from services.runtime.transport import Record

REQUEST_MS = 4000
RECONNECT_MS = 1000  # the client's own limit is 30 s: a broker that is back must be found at once
_LAST_MS = 253_402_300_799_000  # the last second of the year 9999


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn what the client raises into `Unavailable`; `doing` says during what."""
    try:
        yield
    except (KafkaError, OSError, AssertionError) as error:
        raise Unavailable(f"Kafka failed while {doing}: {type(error).__name__}: {error}") from error


def record(r: Any) -> Record:
    """A record as the engine knows it."""
    headers = [(name, value or b"") for name, value in r.headers]  # a header may have no value
    timestamp = min(max(r.timestamp, 0), _LAST_MS)  # on a topic that others made it may be the writer's own
    return Record(r.topic, r.partition, r.offset, timestamp, r.key, r.value, headers)
