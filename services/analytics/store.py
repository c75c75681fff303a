"""Analytics' account of leads and submissions, and the aggregates that change with it in the same transaction.

A batch's partial rows are merged by the database itself, in the order of their keys. That locks each row from its old
state to the commit, so nothing has to be read first. Always leads before submissions before aggregates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from zlib import crc32

from schemas.events.operations import DeadLetter
from services.analytics import contribution
from services.analytics.contribution import (
    FUNNEL_COUNTS,
    Arrival,
    Counts,
    FunnelKey,
    Key,
    SpeedKey,
    Standing,
    SubmissionKey,
)
from services.analytics.rows import Lead, Submission
from services.analytics.world import World
from services.runtime.literals import array, composite
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.verdict import Context, Incoming, Outgoing

SQL = load_queries("services.analytics")
LATEST = 20
SHARDS = 64
DEAD_LETTER_COLUMNS = (
    "service", "topic", "partition", "offset", "reason", "detail", "recorded_at", "event_id", "event_type", "attempt",
    "raw_key", "raw_value", "sha256", "truncated",
)  # fmt: skip


def gatherer(worker: str) -> Callable[[Cursor, Sequence[Incoming], Context], World]:
    """The gather step of this worker: an empty account, and the shard of the aggregates that it adds to."""
    shard = crc32(worker.encode()) % SHARDS
    return lambda _cursor, _events, _context: World(shard)


def apply(cursor: Cursor, world: World) -> None:
    """Merge the batch's account into the rows, and add what that changes to the aggregates."""
    if world.leads:
        standings = _merge_leads(cursor, sorted(world.leads.values(), key=itemgetter(0)))
        funnel = contribution.changes(standings, contribution.funnel)
        _add(cursor, "add_funnel", world.shard, FunnelKey._fields, FUNNEL_COUNTS, funnel)
    if world.submissions:
        arrivals = _merge_submissions(cursor, sorted(world.submissions.values(), key=itemgetter(0)))
        submissions = contribution.changes(arrivals, contribution.submissions)
        _add(cursor, "add_submissions", world.shard, SubmissionKey._fields, ("n",), submissions)
        speed = contribution.changes(arrivals, contribution.speed)
        _add(cursor, "add_speed", world.shard, SpeedKey._fields, ("n",), speed)
    moved = {key: (n,) for key, n in world.moved.items()}
    _add(cursor, "add_throughput", world.shard, ("second", "topic"), ("n",), moved)
    if world.reps:
        reps = sorted(world.reps.items())
        cursor.execute(SQL["name_reps"], {"ids": [i for i, _ in reps], "names": [name for _, name in reps]})
    if world.opened:
        times, ids = zip(*sorted(world.opened, key=itemgetter(0))[-LATEST:], strict=True)
        cursor.execute(SQL["note_latest"], {"times": array(times), "ids": array(ids)})
    if world.dead_letters:
        _keep_dead_letters(cursor, world.dead_letters)


def prune(cursor: Cursor, context: Context) -> Sequence[Outgoing]:
    """Forget what is over, unless another worker is at it. Causes no events."""
    if select(cursor, SQL["prune_turn"])[0][0]:
        cursor.execute(SQL["prune"], {"now": context.now})
    return ()


def _merge_leads(cursor: Cursor, leads: Sequence[Lead]) -> list[tuple[Standing | None, Standing]]:
    rows = select(cursor, SQL["merge_leads"], {
        "ids": array(lead.lead_id for lead in leads),
        "qualified": array(composite(lead.qualified) for lead in leads),
        "assigned": array(composite(lead.assigned) for lead in leads),
        "holder": array(composite(lead.holder) for lead in leads),
        "closing": array(composite(lead.closing) for lead in leads),
        "assigned_at": array(lead.assigned_at for lead in leads),
        "accepted_at": array(lead.accepted_at for lead in leads),
    })  # fmt: skip
    return [(None if row[0] is None else Standing(*row[1:14]), Standing(*row[14:])) for row in rows]


def _merge_submissions(cursor: Cursor, submissions: Sequence[Submission]) -> list[tuple[Arrival | None, Arrival]]:
    ids, received, sources, facts, end_states, leads, assigned = zip(*submissions, strict=True)
    rows = select(cursor, SQL["merge_submissions"], {
        "ids": array(ids), "received_at": array(received), "sources": array(sources), "facts": array(facts),
        "end_states": array(end_states), "lead_ids": array(leads), "assigned_at": array(assigned),
    })  # fmt: skip
    return [(None if row[0] is None else Arrival(*row[1:5]), Arrival(*row[5:])) for row in rows]


def _add(
    cursor: Cursor, query: str, shard: int, keys: Iterable[str], counts: Iterable[str],
    deltas: Mapping[Key, Counts],
) -> None:  # fmt: skip
    if deltas:
        rows = zip(*((*key, *deltas[key]) for key in sorted(deltas)), strict=True)
        names = (*keys, *counts)
        cursor.execute(SQL[query], {"shard": shard, **{n: array(c) for n, c in zip(names, rows, strict=True)}})


def _keep_dead_letters(cursor: Cursor, letters: Sequence[tuple[str, DeadLetter]]) -> None:
    columns = {name: [getattr(letter, name) for _, letter in letters] for name in DEAD_LETTER_COLUMNS}
    headers = [json.dumps(letter.headers) for _, letter in letters]
    cursor.execute(SQL["keep_dead_letters"], {"id": [i for i, _ in letters], "headers": headers, **columns})
