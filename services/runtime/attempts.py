"""Running a batch until it stands: conflicts are tried again, data that the database refuses is narrowed down."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg2
import structlog

from services.runtime.batch import Batches, Result, is_bad_data
from services.runtime.decode import Entry
from services.runtime.fence import Epochs
from services.runtime.postgres import TOO_SLOW, Session
from services.runtime.verdict import Context, Dead

log = structlog.get_logger()
CONFLICT_TRIES = 4


@dataclass(slots=True)
class Attempts:
    """Runs the batches of one worker. `room`: how many records the next one may have, at most `batch_size`.

    A batch that took too long halves the room; each one that stands doubles it.
    """

    batches: Batches
    batch_size: int
    room: int = 0

    def __post_init__(self) -> None:
        self.room = self.room or self.batch_size

    def run(
        self, session: Session, epochs: Epochs, entries: Sequence[Entry], context: Context
    ) -> Iterator[tuple[Sequence[Entry], Result]]:
        """The committed parts of the batch, usually one; each must be published before the next is asked for.

        Raises `Fenced`, and psycopg2 errors of a database that is away, busy or too slow.
        """
        try:
            result = self._commit(session, epochs, entries, context)
        except Exception as error:
            if not is_bad_data(error):
                raise
            if len(entries) > 1:
                middle = len(entries) // 2
                yield from self.run(session, epochs, entries[:middle], context)
                yield from self.run(session, epochs, entries[middle:], context)
                return
            log.exception("data.refused", topic=entries[0].record.topic)
            dead = Dead("data_refused", f"{type(error).__name__} {getattr(error, 'pgcode', None) or ''}".strip())
            result = self.batches.refuse(session, epochs, entries[0], context, dead)
        self.room = min(self.batch_size, 2 * self.room)
        yield entries, result

    def _commit(self, session: Session, epochs: Epochs, entries: Sequence[Entry], context: Context) -> Result:
        for attempt in range(CONFLICT_TRIES):
            try:
                return self.batches.run(session, epochs, entries, context)
            except psycopg2.Error as error:
                if error.pgcode == TOO_SLOW or session.closed:  # the server also ends a session that idles
                    self.room = max(1, len(entries) // 2)
                    log.warning("batch.too_slow", records=len(entries), next=self.room, sqlstate=error.pgcode)
                    raise
                conflict = isinstance(error, psycopg2.OperationalError | psycopg2.IntegrityError)
                if is_bad_data(error) or not conflict or attempt == CONFLICT_TRIES - 1:
                    raise
                log.info("batch.conflict", sqlstate=error.pgcode, attempt=attempt + 1)
                time.sleep(0.01 * (attempt + 1))
        raise AssertionError("unreachable")
