"""Hydrate at a desk: intake's service on a real database and a fake API, its time in the test's hands."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.events.leads import LeadNotified
from schemas.topics import LEADS_NOTIFIED
from services.intake.arrival import Accepted, Arrival
from services.intake.hydrate.pace import Pace
from services.intake.hydrate.queue import Job
from services.intake.notices import read_notice
from services.intake.rules import SourceRules
from services.intake.service import build
from services.intake.settings import IntakeSettings
from services.intake.sources.source import Source
from services.runtime import fence, frames
from services.runtime.clocks import Clocks
from services.runtime.decode import Decoder
from services.runtime.faults import Faults
from services.runtime.follower import Books
from services.runtime.frames import Frame
from services.runtime.postgres import connect, migrate, select, transaction
from services.runtime.service import Call
from services.runtime.verdict import Book, Context, Emit, Incoming
from tests.graph_server import Fake

SECRET = "a secret of the tests, 32 letters"
MIGRATIONS = ("services.runtime", "services.intake")


class Desk:
    """One worker of intake: `tell` is a batch of notices, `turn` a turn of its clocks after so many seconds."""

    def __init__(self, dsn: str, fake: Fake, home: Path, pace: Pace | None = None, **sources: Any) -> None:
        migrate(dsn, "intake", MIGRATIONS)
        self.dsn, self.fake, self.tokens, self.now = dsn, fake, home / "secrets.json", datetime.now(UTC)
        known = sources or {"meta": {"hydrate": {"api": "meta", "url": fake.url, "per_hour": 36_000}}}
        self.book = Book("sources-test", SourceRules.model_validate({"sources": known}))
        self.give(**dict.fromkeys(known, "good"))
        self.settings = IntakeSettings(
            secret=SECRET,
            source_secrets=str(self.tokens),
            hydrate_timeout_s=2,
            hydrate_lease_s=60,
            outbound_allow="127.0.0.0/8",
        )
        self.pace = pace or Pace()
        self.session = connect(dsn, "intake", "test")
        self.clocks = self.worker()
        with transaction(self.session) as cursor:
            fence.create(cursor, {LEADS_NOTIFIED.name: 1})

    def worker(self, faults: Faults | None = None) -> Clocks:
        """The clocks of one more worker."""
        books = Books({"sources": SourceRules})
        books.active["sources"] = self.book
        service = build(self.settings, self.pace)
        return Clocks(
            service, Decoder({}, frozenset()), books, lambda: {LEADS_NOTIFIED.name: 1},
            lambda: connect(self.dsn, "intake", "test"), lambda: self.now, faults or Faults())  # fmt: skip

    def give(self, secret: Sequence[str] = (), **tokens: str) -> None:
        """Write the file with the sources' tokens, and the secrets of their apps."""
        kept = {source: {"token": [token], "secret": secret} for source, token in tokens.items()}
        self.tokens.write_text(json.dumps(kept))

    def tell(self, *ids: str, action: str = "created", source: str = "meta") -> list[str]:
        """One batch of notices; types of the events that follow at once."""
        events = [self._incoming(source, own, action, n) for n, own in enumerate(ids)]
        service, context = self.clocks.service, Context(self.now, {"sources": self.book})
        with transaction(self.session) as cursor:
            queue = service.gather(cursor, events, context)
            verdicts = [service.decide(event, queue, context) for event in events]
            service.apply(cursor, queue)
        return [event.type for v in verdicts if isinstance(v, Emit) for event in v.events]

    def turn(self, after_s: float = 0, clocks: Clocks | None = None) -> None:
        """So many seconds later, all that is due is asked for."""
        self.now += timedelta(seconds=after_s)
        worker = clocks or self.clocks
        worker._next.clear()
        worker.turn()

    def claimed(self) -> tuple[Call, Job, Context]:
        """One lead claimed and not asked for yet: its clock, the claim, and the context that it was made in."""
        call = self.clocks.service.clocks[0]
        assert isinstance(call, Call)
        with transaction(self.session) as cursor:
            context = self.clocks.context(cursor)
            (job,) = call.take(cursor, call.claim(cursor, context), context)
        return call, job, context

    def told(self, event_type: str = "lead.received") -> list[Frame]:
        """Events of a type that wait in the outbox."""
        found = [frames.load(text)[0] for (text,) in self.rows("SELECT frame FROM outbox ORDER BY id")]
        return [frame for frame in found if frame.type == event_type]

    def read(self) -> list[str]:
        """Ids at the source of the leads that went on, in their order."""
        return [json.loads(frame.value or "")["source_key"] for frame in self.told()]

    def states(self) -> dict[str, str]:
        """State of each lead by its id at the source."""
        return dict(self.rows("SELECT notice_id, state FROM notice ORDER BY 1"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with transaction(self.session) as cursor:
            return select(cursor, sql)

    def change(self, sql: str) -> None:
        with transaction(self.session) as cursor:
            cursor.execute(sql)

    def close(self) -> None:
        self.clocks.hang_up()
        self.session.close()

    def _incoming(self, source: str, own: str, action: str, n: int) -> Incoming:
        arrival = Arrival(
            Source(name=source), {"notice_id": own, "action": action}, "", None, self.now, self.now, SECRET
        )
        result = read_notice(arrival)
        assert isinstance(result, Accepted)
        (event,) = result.events
        data = LeadNotified.model_validate_json(event.value or "")
        place = (LEADS_NOTIFIED.name, 0, n)
        body = (event.value or "").encode()
        return Incoming(event.id, event.type, "x", event.key, data, *place, self.now, event.id, self.now.date(), body)
