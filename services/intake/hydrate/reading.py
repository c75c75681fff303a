"""The hydrate clock: claim due leads with a lease, ask the source's API for each, record the answer (DESIGN §4.7).

A lead is asked for whether or not all inputs are applied: a deletion that is read later becomes a request to forget.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from services.intake.arrival import Accepted, Refused
from services.intake.caps.keep import capped, kept
from services.intake.caps.store import take_places
from services.intake.hydrate import apis, store
from services.intake.hydrate.answer import Answer, Denied, Down, Found, Get, Limited, NotTried
from services.intake.hydrate.decide import conclude, read_answer
from services.intake.hydrate.pace import Pace, budget, spent
from services.intake.hydrate.queue import Job, Key, Origin
from services.intake.rules import SourceRules
from services.intake.settings import IntakeSettings
from services.intake.sources.secrets import SourceSecrets
from services.intake.sources.source import Hydrate, Source
from services.runtime import metrics
from services.runtime.errors import Unavailable
from services.runtime.postgres import Cursor
from services.runtime.verdict import Context, Outgoing

CLOCK = "hydrate"
BOOK = "sources"
PUT_OFF = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Hydration:
    """Reads what is due: the parts of a `Call`.

    `silent`: sources that gave no answer in the turn that began then; the rest of their claims waits for another turn,
    so that one slow API holds up the others for one answer only.
    """

    settings: IntakeSettings
    get: Get
    secrets: SourceSecrets
    pace: Pace
    silent: dict[str, datetime] = field(default_factory=dict, compare=False)

    def claim(self, cursor: Cursor, context: Context) -> list[Key]:
        """Lock due leads of every source, as many as its budget has room for; of a parked one a single probe."""
        found: list[Key] = []
        for state in store.due_sources(cursor, context.now):
            api = _api(state.source, context)
            room = self._room(state, api, context.now)
            keys = store.claimable(cursor, state.source, context.now, room) if room else []
            if keys:
                store.write_source(cursor, self._paced(state, api, context.now, len(keys)))
            found += keys
        return found

    def take(self, cursor: Cursor, keys: Sequence[Key], context: Context) -> list[Job]:
        """Mark locked leads as ours until the lease ends."""
        lease_s = self.settings.hydrate_lease_s
        until, ends = context.now + timedelta(seconds=lease_s), time.monotonic() + lease_s
        rows = [replace(row, act_at=until, claims=row.claims + 1) for row in store.lock(cursor, keys)]
        store.write(cursor, rows)
        return [Job(row, _source(row.source, context), self._token(row.source), ends) for row in rows]

    def call(self, job: Job, context: Context) -> Answer:
        """Ask for one lead. Runs outside of any transaction."""
        source = job.row.source
        if job.source is None or job.source.hydrate is None:
            return Denied("book sources has no `hydrate` for this source")
        if job.token is None:
            return Denied("it has no token")
        late = time.monotonic() + self.settings.hydrate_timeout_s > job.ours_until
        if late or self.silent.get(source) == context.now:
            return NotTried()
        answer = self._ask(source, job.source.hydrate, job.token, job.row.notice_id)
        if isinstance(answer, Denied | Limited | Down):
            self.silent[source] = context.now
        return answer

    def record(self, cursor: Cursor, job: Job, answer: Answer, context: Context) -> Sequence[Outgoing]:
        """Write down the answer, unless the lead was forgotten or taken over meanwhile."""
        state = store.lock_source(cursor, job.row.source)
        (row,) = store.lock(cursor, [job.row.key])
        if row.claims != job.row.claims:
            return ()
        said = self._read(cursor, job, answer, context.now) if isinstance(answer, Found) else answer
        concluded = conclude(row, state, said, self.pace, context.now, self.settings.secret, _digest(job.token))
        store.write(cursor, [concluded.row])
        if concluded.state != state:
            store.write_source(cursor, concluded.state)
        if concluded.row.state == "dead":
            metrics.DLQ_RECORDS.labels("intake", concluded.row.problem or "").inc()
        return concluded.events

    def put_off(self, cursor: Cursor, row: Key | Job, context: Context) -> Sequence[Outgoing]:
        """A lead that a defect of ours hits: later again; it stays in the backlog, and the log says where it failed."""
        store.put_off(cursor, row.row.key if isinstance(row, Job) else row, context.now + PUT_OFF)
        return ()

    def measure(self, cursor: Cursor, context: Context) -> Sequence[Outgoing]:
        """Set the gauges of the backlog: a clock of its own."""
        for source, count, oldest in store.backlog(cursor):
            age = max(0.0, (context.now - oldest).total_seconds()) if oldest else 0.0
            metrics.HYDRATE_BACKLOG.labels(source).set(count)
            metrics.HYDRATE_OLDEST.labels(source).set(age)
        return ()

    def _ask(self, source: str, api: Hydrate, token: str, notice_id: str) -> Answer:
        get = apis.proving(self.get, api, token, self.secrets.of(source))
        try:
            return apis.read(get, api, token, notice_id, datetime.now(UTC))
        except Unavailable as error:
            return Down(str(error)[:200])

    def _read(self, cursor: Cursor, job: Job, found: Found, now: datetime) -> Accepted | Refused:
        """The lead that was found. It takes its place in its source's caps, and that is kept, only if it goes on."""
        assert job.source is not None, "without its source nothing is asked"  # noqa: S101  # narrows the type
        result = read_answer(job.source, job.row.notice_id, found, now, self.settings.secret)
        leads = capped(job.source, [result])
        return kept(job.source, [result], take_places(cursor, job.source, leads, now))[0] if leads else result

    def _room(self, state: Origin, api: Hydrate | None, now: datetime) -> int:
        """How many leads may be asked for now. A token that was changed is tried at once."""
        if state.parked_at is None:
            return budget(self.pace, state.paced_until, _per_hour(api), now)
        renewed = _digest(self._token(state.source)) != state.parked_token
        return int(renewed or state.probe_at is None or state.probe_at <= now)

    def _paced(self, state: Origin, api: Hydrate | None, now: datetime, asked: int) -> Origin:
        until = spent(self.pace, state.paced_until, _per_hour(api), now, asked)
        probe_at = now + self.pace.probe_every if state.parked_at else None
        return replace(
            state, paced_until=until, probe_at=probe_at,
            parked_token=_digest(self._token(state.source)) if state.parked_at else None,
        )  # fmt: skip

    def _token(self, source: str) -> str | None:
        return next(iter(self.secrets.of(source, "token")), None)


def _source(name: str, context: Context) -> Source | None:
    rules: SourceRules = context.books[BOOK].rules
    return rules.sources.get(name)


def _api(name: str, context: Context) -> Hydrate | None:
    source = _source(name, context)
    return source.hydrate if source else None


def _per_hour(api: Hydrate | None) -> int:
    return api.per_hour if api else 3600


def _digest(token: str | None) -> str:
    """What a token is known by in the table."""
    return sha256((token or "").encode()).hexdigest()[:16]
