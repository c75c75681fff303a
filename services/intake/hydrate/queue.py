"""The hydrate queue as values: one row for each lead told by id, one for each source that tells so."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.intake.sources.source import Source

Key = tuple[str, str]
"""Source and id at the source."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One lead told by id. States: new (nobody spoke of it yet), pending, retrying, gone, dead, done.

    `act_at`: when it is asked for next, also the end of the lease of a claim; None where it has ended. `claims` counts
    claims, so that a claim that was taken over is known. `value`: the notice, kept until the end. `addresses`: hashes.
    """

    source: str
    notice_id: str
    state: str = "new"
    event_id: str | None = None
    submission_id: str | None = None
    notified_at: datetime | None = None
    act_at: datetime | None = None
    tries: int = 0
    claims: int = 0
    failing_since: datetime | None = None
    problem: str | None = None
    deaths: int = 0
    value: str | None = None
    record_place: str | None = None
    addresses: str = ""

    @property
    def key(self) -> Key:
        """What it is known by."""
        return (self.source, self.notice_id)


@dataclass(frozen=True, slots=True)
class Origin:
    """How it stands with one source's API; shared by all workers through its row. Parked: its token is refused."""

    source: str
    paced_until: datetime
    not_before: datetime
    failures: int = 0
    parked_at: datetime | None = None
    parked_why: str | None = None
    parked_token: str | None = None
    probe_at: datetime | None = None
    parks: int = 0


@dataclass(slots=True)
class Queue:
    """The rows that a batch of notices needs, locked; `changed` are written back."""

    rows: dict[Key, Notice] = field(default_factory=dict)
    changed: set[Key] = field(default_factory=set)

    def put(self, row: Notice) -> None:
        """Replace a row."""
        self.rows[row.key] = row
        self.changed.add(row.key)


@dataclass(frozen=True, slots=True)
class Job:
    """One claim: the row as it was claimed, its source as the book says (None: not there), until when it is ours.

    `ours_until`: the end of the lease on the monotonic clock, seconds.
    """

    row: Notice
    source: Source | None
    token: str | None
    ours_until: float
