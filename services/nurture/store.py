"""The only SQL of nurture: what a batch needs, locked, and what it changed, written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from schemas.events.outcomes import Outcome
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash
from services.nurture.audience import facts_of, fitting
from services.nurture.decide import BOOK
from services.nurture.rules import NurtureRules
from services.nurture.steps import Due
from services.nurture.views import Qualified
from services.nurture.world import (
    EMAIL,
    EVERY_PURPOSE,
    Consent,
    ConsentKey,
    Enrolment,
    Facts,
    Lead,
    Step,
    StepKey,
    World,
)
from services.runtime.postgres import Cursor, load_queries, select
from services.runtime.service import Published
from services.runtime.verdict import Context, Incoming

SQL = load_queries("services.nurture")
_STEP_COLUMNS = len(fields(Step))
_ENROLMENT_COLUMNS = len(fields(Enrolment))


def gatherer(secret: str) -> Callable[[Cursor, Sequence[Incoming], Context], World]:
    """The `gather` of the service, which needs the installation's secret to know an address by its hash."""

    def gather(cursor: Cursor, events: Sequence[Incoming], context: Context) -> World:
        world, rules = World(), context.books[BOOK].rules
        keys: set[ConsentKey] = set()
        said: set[str] = set()
        lead_ids: set[str] = set()
        for event in events:
            match event.data:
                case Qualified() as data:
                    lead_ids.add(data.lead.lead_id)
                    keys |= _keys_of_lead(data, rules, world.hashes, secret)
                case Outcome() as data:
                    lead_ids.add(data.lead_id)
                case ConsentReceived() as data:
                    said.add(data.address)
                    keys |= _keys_said(data, rules)
        load(cursor, world, keys, said | set(world.hashes.values()), lead_ids, said)
        return world

    return gather


def load(
    cursor: Cursor, world: World, keys: Iterable[ConsentKey], addresses: Iterable[str], lead_ids: Iterable[str],
    whole: Iterable[str],
) -> None:  # fmt: skip
    """Lock consents, then leads, and read what hangs on them; of the addresses in `whole` all leads."""
    locked = sorted(set(addresses))
    if wanted := sorted(set(keys)):
        cursor.execute(SQL["consent_placeholders"], _columns(wanted))
    consents = [Consent(*row) for row in select(cursor, SQL["consent_lock"], {"addresses": locked})] if locked else []
    leads = _lock_leads(cursor, sorted(set(lead_ids)), sorted(set(whole)))
    others = {lead.address for lead in leads if lead.address}.difference(locked)
    consents += [consent for found in consents_at(cursor, sorted(others)).values() for consent in found]
    of_leads = {"lead_ids": [lead.lead_id for lead in leads]}
    enrolments = [Enrolment(*row) for row in select(cursor, SQL["enrolments_of_leads"], of_leads)] if leads else []
    of_enrolments = {"enrolment_ids": [enrolment.enrolment_id for enrolment in enrolments]}
    steps = [Step(*row) for row in select(cursor, SQL["open_steps"], of_enrolments)] if enrolments else []
    world.load(consents, leads, enrolments, steps)


def _lock_leads(cursor: Cursor, ids: Sequence[str], addresses: Sequence[str]) -> list[Lead]:
    """These leads, made where they were not known, and all leads of these addresses, locked."""
    new = [row[0] for row in select(cursor, SQL["lead_placeholders"], {"lead_ids": list(ids)})] if ids else []
    known = sorted(set(ids).difference(new))
    if not known and not addresses:
        return [Lead(lead_id) for lead_id in new]
    rows = select(cursor, SQL["lead_lock"], {"lead_ids": known, "addresses": list(addresses)})
    return [Lead(lead_id) for lead_id in new] + [_lead(row) for row in rows]


def apply(cursor: Cursor, world: World) -> None:
    """Write every row that was replaced, once, in the order of the keys."""
    if world.consents.changed:
        _write(cursor, "consent_write", Consent, [world.consents.rows[k] for k in sorted(world.consents.changed)])
    if world.leads.changed:
        _write_leads(cursor, [world.leads.rows[k] for k in sorted(world.leads.changed)])
    if world.enrolments.changed:
        rows = [world.enrolments.rows[k] for k in sorted(world.enrolments.changed)]
        _write(cursor, "enrolment_write", Enrolment, sorted(rows, key=lambda row: row.active))  # one active per lead
    write_steps(cursor, [world.steps.rows[k] for k in sorted(world.steps.changed)])


def write_steps(cursor: Cursor, steps: Sequence[Step]) -> None:
    """Add or replace steps."""
    if steps:
        _write(cursor, "step_write", Step, steps)


def published(cursor: Cursor, versions: Mapping[str, int]) -> list[Published]:
    """Those of these consents, by key of the topic, that the table knows in a higher version."""
    keys = [key.split(":", 2) for key in versions]
    rows = select(cursor, SQL["consent_published"], {**_columns(keys), "versions": list(versions.values())})
    return [Published(key, version, event_id, "consent.changed", value) for key, version, event_id, value in rows]


def claimable(cursor: Cursor, horizon: datetime, limit: int, but: Sequence[StepKey]) -> list[StepKey]:
    """Up to `limit` steps to act on, locked with their leads and not yet read; none while another worker claims."""
    ((alone,),) = select(cursor, SQL["claim_alone"])
    left = {"but_ids": [key[0] for key in but], "but_steps": [key[1] for key in but]}
    rows = select(cursor, SQL["claimable"], {"horizon": horizon, "limit": limit, **left}) if alone else []
    return [(enrolment_id, step) for enrolment_id, step in rows]


def due_steps(cursor: Cursor, keys: Sequence[StepKey]) -> list[Due]:
    """Steps that this transaction has locked, the longest due first. One that cannot be read fails them all."""
    ids, numbers = [key[0] for key in keys], [key[1] for key in keys]
    rows = select(cursor, SQL["due_steps"], {"enrolment_ids": ids, "steps": numbers})
    middle = _STEP_COLUMNS + _ENROLMENT_COLUMNS
    return [Due(Step(*row[:_STEP_COLUMNS]), Enrolment(*row[_STEP_COLUMNS:middle]), _lead(row[middle:])) for row in rows]


def step_alone(cursor: Cursor, key: StepKey) -> tuple[Step, Enrolment] | None:
    """A step that is still open and its enrolment, locked; nothing that a sender wrote is read."""
    for row in select(cursor, SQL["step_alone"], {"enrolment_id": key[0], "step": key[1]}):
        return Step(*row[:_STEP_COLUMNS]), Enrolment(*row[_STEP_COLUMNS:])
    return None


def consents_at(cursor: Cursor, addresses: Sequence[str]) -> dict[str, list[Consent]]:
    """What is known about addresses whose leads are locked."""
    found: dict[str, list[Consent]] = {}
    for row in select(cursor, SQL["consent_read"], {"addresses": list(addresses)}) if addresses else ():
        found.setdefault(row[0], []).append(Consent(*row))
    return found


def recent_touches(cursor: Cursor, addresses: Sequence[str], since: datetime) -> dict[str, dict[StepKey, datetime]]:
    """When each address was, or is being, written to, by step."""
    found: dict[str, dict[StepKey, datetime]] = {}
    rows = select(cursor, SQL["recent_touches"], {"addresses": list(addresses), "since": since})
    for address, at, enrolment_id, step in rows:
        found.setdefault(address, {})[enrolment_id, step] = at
    return found


def _keys_of_lead(data: Qualified, rules: NurtureRules, hashes: dict[str, str], secret: str) -> set[ConsentKey]:
    email = data.lead.contact.email
    if not email:
        return set()
    address = hashes.get(email)
    if address is None:
        address = hashes[email] = address_hash(secret, "email", email)
    return {(address, EMAIL, s.purpose) for s in fitting(facts_of(data.lead, data.correlation_id), rules)}


def _keys_said(data: ConsentReceived, rules: NurtureRules) -> set[ConsentKey]:
    keys = {(data.address, data.channel, data.purpose)}
    if data.purpose == EVERY_PURPOSE:  # meets those who enrol under any purpose at the same moment
        keys |= {(data.address, EMAIL, sequence.purpose) for sequence in rules.sequences}
    return keys


def _columns(keys: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    return {name: [key[i] for key in keys] for i, name in enumerate(("addresses", "channels", "purposes"))}


def _lead(row: Sequence[Any]) -> Lead:
    lead_id, seen_version, address, outcomes, document = row
    facts = Facts(*json.loads(document)) if document else None
    return Lead(lead_id, seen_version, address, frozenset(outcomes.split()), facts)


def _write_leads(cursor: Cursor, leads: Sequence[Lead]) -> None:
    cursor.execute(SQL["lead_write"], {
        "lead_id": [x.lead_id for x in leads], "seen_version": [x.seen_version for x in leads],
        "address": [x.address for x in leads], "outcomes": [" ".join(sorted(x.outcomes)) for x in leads],
        "document": [json.dumps(x.facts, ensure_ascii=False) if x.facts else None for x in leads],
    })  # fmt: skip


def _write(cursor: Cursor, query: str, kind: type[Any], rows: Sequence[Any]) -> None:
    cursor.execute(SQL[query], {f.name: [getattr(row, f.name) for row in rows] for f in fields(kind)})
