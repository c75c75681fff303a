"""What qualify reads and writes. Fixed order of tables: identifier, person, lead, then the rest.

The rows of address hashes are what makes two workers with the same new person wait for each other. Leads need no
placeholders: an outcome is about a lead that was published, so committed, before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from schemas.events.outcomes import Outcome
from services.qualify.engagement import Engagement
from services.qualify.recognise import claim
from services.qualify.world import Activity, Lead, Person, World
from services.runtime.literals import documents
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.service import Published
from services.runtime.verdict import Context, Incoming

SQL = load_queries("services.qualify")


def gather(cursor: Cursor, events: Sequence[Incoming], _: Context, *, secret: str) -> World:
    """Read and lock all that these events need."""
    world = World()
    retracted = sorted({e.data.retracts for e in events if e.type == "activity.retracted" and e.data.retracts})
    reported = sorted({e.data.lead_id for e in events if isinstance(e.data, Outcome)})
    people = _lock_owners(cursor, _proposals(events, world, secret), world)
    if reported:
        people |= {row[0] for row in select(cursor, SQL["people_of_leads"], {"leads": reported})}
    if retracted:
        places = select(cursor, SQL["places_of_activities"], {"activities": retracted})
        people |= {person_id for person_id, _ in places}
        reported += sorted({lead_id for _, lead_id in places if lead_id})
    if people:
        _lock_people(cursor, sorted(people), reported, world)
    if retracted:
        rows = select(cursor, SQL["lock_activities"], {"activities": retracted})
        world.activities = {row[0]: Activity(*row) for row in rows}
    return world


def apply(cursor: Cursor, world: World) -> None:
    """Write what changed, one statement a table."""
    _keep_owners(cursor, world)
    _keep_persons(cursor, [world.persons[person_id] for person_id in sorted(world.changed_persons)])
    _keep_leads(cursor, [world.leads[lead_id] for lead_id in world.changed_leads])
    _keep_submissions(cursor, world)
    _keep_activities(cursor, [world.activities[activity_id] for activity_id in sorted(world.changed_activities)])


def published_people(cursor: Cursor, versions: Mapping[str, int]) -> list[Published]:
    """The records of those people whose version is higher than the one given."""
    parameters = {"people": list(versions), "versions": list(versions.values())}
    return [Published(*row) for row in select(cursor, SQL["published_persons"], parameters)]


def _proposals(events: Sequence[Incoming], world: World, secret: str) -> dict[str, str | None]:
    """Every address hash of the batch with the person that would be created for it; none for what only asks."""
    proposals: dict[str, str | None] = {}
    for event in events:
        if event.type == "lead.received" and not event.data.is_test:
            claimed = world.claims[event.id] = claim(event.data, event.id, secret)
            for key in claimed.hashes:
                proposals[key] = proposals.get(key) or claimed.person_id
        elif event.type == "activity.received":
            proposals.setdefault(event.data.identity, None)
    return proposals


def _lock_owners(cursor: Cursor, proposals: dict[str, str | None], world: World) -> set[str]:
    """Insert or lock every address hash; the people known by those that were there."""
    if not proposals:
        return set()
    hashes = sorted(proposals)
    parameters = {"hashes": hashes, "people": [proposals[key] for key in hashes]}
    inserted = {row[0] for row in select(cursor, SQL["propose_identifiers"], parameters)}
    world.owners = proposals
    known = [key for key in hashes if key not in inserted]
    if not known:
        return set()
    locked = dict(select(cursor, SQL["lock_identifiers"], {"hashes": known}))
    world.owners.update(locked)
    return {person_id for person_id in locked.values() if person_id}


def _lock_people(cursor: Cursor, people: list[str], leads: list[str], world: World) -> None:
    rows = select(cursor, SQL["lock_persons"], {"people": people})
    world.persons = {row[0]: Person(*row) for row in rows}
    for row in select(cursor, SQL["lock_leads"], {"people": people, "leads": leads}):
        world.know_lead(Lead(*(*row[:6], Engagement(*row[6:]))))


def _keep_owners(cursor: Cursor, world: World) -> None:
    if hashes := sorted(world.changed_owners):
        cursor.execute(SQL["own_identifiers"], {"hashes": hashes, "people": [world.owners[key] for key in hashes]})


def _keep_persons(cursor: Cursor, persons: Sequence[Person]) -> None:
    if persons:
        cursor.execute(SQL["keep_persons"], {
            "people": [p.person_id for p in persons], "versions": [p.version for p in persons],
            "event_ids": [p.event_id for p in persons], "event_types": [p.event_type for p in persons],
            "documents": documents(p.document for p in persons), "submissions": [p.submissions for p in persons],
        })  # fmt: skip


def _keep_leads(cursor: Cursor, changed: Iterable[Lead]) -> None:
    if leads := sorted(changed, key=lambda lead: (lead.status == "open", lead.lead_id)):
        cursor.execute(SQL["keep_leads"], {
            "leads": [x.lead_id for x in leads], "people": [x.person_id for x in leads],
            "product_lines": [x.product_line for x in leads], "statuses": [x.status for x in leads],
            "versions": [x.version for x in leads], "documents": documents(x.document for x in leads),
            "points": [x.engagement.points for x in leads], "points_at": [x.engagement.at for x in leads],
        })  # fmt: skip


def _keep_submissions(cursor: Cursor, world: World) -> None:
    if ended := sorted(world.submissions, key=lambda s: s.submission_id):
        cursor.execute(SQL["keep_submissions"], {
            "submissions": [s.submission_id for s in ended], "leads": [s.lead_id for s in ended],
            "people": [s.person_id for s in ended], "end_states": [s.end_state for s in ended],
        })  # fmt: skip


def _keep_activities(cursor: Cursor, activities: Sequence[Activity]) -> None:
    if activities:
        cursor.execute(SQL["keep_activities"], {
            "activities": [a.activity_id for a in activities], "people": [a.person_id for a in activities],
            "leads": [a.lead_id for a in activities], "points": [a.points for a in activities],
            "at": [a.at for a in activities], "retracted": [a.retracted for a in activities],
        })  # fmt: skip
