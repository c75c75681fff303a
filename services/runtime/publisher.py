"""Publishing under a fence, and seeing to it that compacted topics never end stale (DESIGN §4.4, §4.5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from services.runtime import fence, frames, metrics
from services.runtime.fence import Epochs
from services.runtime.frames import Frame
from services.runtime.postgres import Session, transaction
from services.runtime.service import Published, Service
from services.runtime.transport import Producer

SEND_WITHIN_S = 2.0


class Publisher:
    """Writes a service's frames to the log."""

    def __init__(self, service: Service, producer: Producer) -> None:
        self._service, self._producer = service, producer
        self._source = f"caudal/{service.name}"
        self._attempted: dict[str, dict[str, int]] = {}

    def publish(self, session: Session, epochs: Epochs, items: Sequence[Frame]) -> None:
        """Check the fences, write all, see every acknowledgement, then compare.

        Raises `Fenced` before anything is sent, `Unavailable` when the broker did not take all. What was attempted on
        compacted topics is compared in every case, at the latest with the next publication.
        """
        items = sorted(items, key=attrgetter("version"))  # a key's states, decided in partitions of their own, in turn
        self._note(items)
        try:
            if items:
                self._send(items, self._guard(session, epochs))
        finally:
            self._compare(session)

    def _guard(self, session: Session, epochs: Epochs) -> Callable[[], bool]:
        with transaction(session) as cursor:
            checked = time.monotonic()
            fence.check(cursor, epochs)
        return lambda: time.monotonic() - checked < SEND_WITHIN_S

    def _send(self, items: Sequence[Frame], may_send: Callable[[], bool]) -> None:
        self._producer.publish([frames.message(f, self._source) for f in items], may_send)

    def _note(self, items: Sequence[Frame]) -> None:
        """Remember the version attempted last per key of compacted topics: nothing later hides it on the log."""
        for f in items:
            if f.topic in self._service.published and f.key is not None:
                self._attempted.setdefault(f.topic, {})[f.key.decode()] = f.version

    def _compare(self, session: Session) -> None:
        """Write the current state wherever the table is ahead of what we attempted, until it is nowhere ahead."""
        for topic, versions in list(self._attempted.items()):
            while versions:
                ahead = self._ahead(session, topic, versions)
                if not ahead:
                    del self._attempted[topic]
                    break
                metrics.RESTORED.labels(self._service.name).inc(len(ahead))
                self._send([_frame(topic, p) for p in ahead], lambda: True)
                versions.update({p.key: p.version for p in ahead})  # once acknowledged: else they are written again

    def _ahead(self, session: Session, topic: str, versions: Mapping[str, int]) -> Sequence[Published]:
        with transaction(session) as cursor:
            return self._service.published[topic](cursor, versions)


def _frame(topic: str, state: Published) -> Frame:
    return Frame(topic, state.key.encode(), state.version, state.id, state.type, "", state.value)
