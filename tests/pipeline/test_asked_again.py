"""Who asks again while the closing of the lead is on its way to qualify is handed to somebody all the same."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.events.event import derived_id
from schemas.events.leads import LeadQualified
from schemas.identity import identity_hash
from schemas.topics import LEADS_ASSIGNED, LEADS_OUTCOMES, LEADS_QUALIFIED, LEADS_RECEIVED, destination_outcomes
from services.analytics import recount
from services.analytics.timeline import find_leads, timeline
from services.cli import load
from services.runtime.postgres import select, transaction
from services.runtime.transport import Message, Record
from tests.pipeline.test_chain import SECRET, Chain

REPORTS = destination_outcomes("crm")


@pytest.fixture
def chain(database: str) -> Chain:
    """A lead that was handed over."""
    found = Chain(database)
    found.log.append(enquiry("first"))
    work(found, "qualify")
    work(found, "router")
    return found


def enquiry(name: str, source: str = "website") -> Message:
    """One more submission of the same person."""
    person = load.submission(random.Random(1), 1, SECRET, "again")
    submission_id = derived_id(person.correlation_id, name)
    return load.message(person.model_copy(update={
        "cause_id": submission_id, "correlation_id": submission_id, "body_hash": name, "source": source,
        "origin": person.origin.model_copy(update={"source": source}),
    }))  # fmt: skip


def report(chain: Chain, kind: str, **said: object) -> Message:
    """What the CRM says of the first lead."""
    lead_id = chain.log.records(LEADS_ASSIGNED.name)[0].key or b""
    value = json.dumps({"lead_id": lead_id.decode(), **said}).encode()
    return Message(REPORTS.name, lead_id, value, [("ce_type", kind.encode()), ("ce_id", kind.encode())])


def work(chain: Chain, name: str, *topics: str) -> None:
    """Let a service read on to the end, of these topics only: it has not got to the others yet."""
    service = next(s for s in chain.services if s.name == name)
    inputs = tuple(t for t in service.inputs if not topics or t.name in topics)
    chain.worker(replace(service, inputs=inputs)).run()


def finish(chain: Chain) -> None:
    """Nothing is on its way any more."""
    for name in ("qualify", "router", "qualify", "router", "nurture", "analytics"):
        work(chain, name)


def states(chain: Chain) -> list[tuple[str, str, str]]:
    """Status by qualify, state by router, and source of every lead, the oldest first."""
    session = chain.session(chain.services[0])
    with transaction(session) as cursor:
        found = select(cursor, """
            SELECT q.status, r.state, q.document::jsonb #>> '{lead,origin,source}'
            FROM qualify.lead q JOIN router.lead r USING (lead_id) ORDER BY q.status <> 'open' DESC""")  # fmt: skip
    session.close()
    return found


@pytest.mark.parametrize("kind", ["lead.won", "lead.lost"])
@pytest.mark.parametrize("router_first", [True, False])
def test_an_enquiry_between_the_closing_and_its_being_known_is_assigned(
    chain: Chain, kind: str, router_first: bool
) -> None:
    """Router closes, then qualify attaches; or qualify attaches, and router closes before it has read that."""
    steps = [("router", REPORTS, report(chain, kind)), ("qualify", LEADS_RECEIVED, enquiry("second", "fair"))]
    for name, topic, message in steps if router_first else reversed(steps):
        chain.log.append(message)
        work(chain, name, topic.name)
    work(chain, "router", LEADS_QUALIFIED.name)
    assert chain.types(LEADS_QUALIFIED.name) == ["lead.qualified", "lead.attached"]
    finish(chain)
    assert states(chain) == [(kind.removeprefix("lead."), "closed", "website"), ("open", "assigned", "fair")]
    assert chain.types(LEADS_ASSIGNED.name).count("lead.assigned") == 2


def test_an_enquiry_that_the_owner_was_told_of_before_the_closing_opens_nothing(chain: Chain) -> None:
    chain.log.append(enquiry("second"))
    work(chain, "qualify")
    work(chain, "router")
    chain.log.append(report(chain, "lead.lost"))
    finish(chain)
    assert chain.types(LEADS_ASSIGNED.name) == ["lead.assigned", "lead.updated", "lead.closed"]
    assert states(chain) == [("lost", "closed", "website")]


def test_an_enquiry_that_was_told_but_not_read_before_the_closing_opens_a_lead(chain: Chain) -> None:
    chain.log.append(enquiry("second", "fair"))
    work(chain, "qualify")
    work(chain, "router")
    chain.log.append(report(chain, "lead.lost", seen_submissions=1))
    finish(chain)
    assert states(chain) == [("lost", "closed", "website"), ("open", "assigned", "fair")]


def test_a_sale_after_a_loss_says_the_same_of_what_was_asked_in_vain(chain: Chain) -> None:
    """Though the router has read of it by then: the two may be published in another order than they were decided."""
    chain.log.append(report(chain, "lead.lost"))
    work(chain, "router")
    chain.log.append(enquiry("second"))
    work(chain, "qualify", LEADS_RECEIVED.name)
    work(chain, "router")
    chain.log.append(report(chain, "lead.won"))
    work(chain, "router")
    told = [json.loads(r.value or b"")["seen_submissions"] for r in chain.log.records(LEADS_OUTCOMES.name)]
    assert told == [1, 1]
    finish(chain)
    assert [status for status, _, _ in states(chain)] == ["won", "open"]


def test_the_new_lead_counts_once_tells_its_story_and_a_replay_changes_nothing(chain: Chain) -> None:
    chain.log.append(report(chain, "lead.won"))
    work(chain, "router")
    chain.log.append(enquiry("second"))
    work(chain, "qualify", LEADS_RECEIVED.name)
    finish(chain)
    before = chain.log.records(LEADS_QUALIFIED.name)
    for service in chain.services:
        committed = chain.log.committed(f"caudal.{service.name}")
        committed.update(dict.fromkeys(committed, 0))
    finish(chain)
    assert chain.log.records(LEADS_QUALIFIED.name) == before
    opened = next(e for e in map(qualified, before) if e.reasons[0].code == "asked_again")
    session = chain.session(chain.services[-1])
    with transaction(session) as cursor:
        assert select(cursor, "SELECT sum(leads), sum(assigned), sum(won) FROM funnel") == [(2, 2, 1)]
        assert select(cursor, "SELECT end_state, n FROM submissions ORDER BY 1") == [("attached", 1), ("opened", 1)]
        story = timeline(cursor, opened.lead.lead_id)
        first = before[0].key.decode()  # type: ignore[union-attr]  # every record there has one
        assert find_leads(cursor, opened.lead.contact.email or "", SECRET) == [opened.lead.lead_id, first]
        assert find_leads(cursor, first, SECRET) == [first]
    assert recount.differences(session) == []
    session.close()
    assert {e.type: e.data["correlation_id"] for e in story} == dict.fromkeys(
        ("lead.received", "lead.qualified", "lead.assigned"), opened.correlation_id
    )


def qualified(record: Record) -> LeadQualified:
    return LeadQualified.model_validate_json(record.value or b"")


def test_an_address_finds_the_leads_that_came_under_another_one_of_the_same_person(chain: Chain) -> None:
    """Of two enquiries, the first with both addresses and the second by telephone alone, after the first was lost."""
    phone, person = "+34600000011", load.submission(random.Random(1), 2, SECRET, "twice")
    both = person.model_copy(
        update={"contact": person.contact.model_copy(update={"phone": phone}), "phone_quality": "ok"}
    )
    chain.log.append(load.message(both))
    finish(chain)
    lead_id = derived_id(person.correlation_id, "lead").encode()
    lost = json.dumps({"lead_id": lead_id.decode()}).encode()
    chain.log.append(Message(REPORTS.name, lead_id, lost, [("ce_type", b"lead.lost"), ("ce_id", b"lost")]))
    finish(chain)
    later = derived_id(person.correlation_id, "by telephone")
    called = both.model_copy(update={
        "contact": both.contact.model_copy(update={"email": None, "email_raw": None}), "email_quality": "missing",
        "identity": identity_hash(SECRET, None, phone, later), "cause_id": later, "correlation_id": later,
        "occurred_at": person.occurred_at + timedelta(minutes=1), "body_hash": "called",
    })  # fmt: skip
    chain.log.append(load.message(called))
    finish(chain)
    session = chain.session(chain.services[-1])
    with transaction(session) as cursor:
        found = {term: find_leads(cursor, term, SECRET) for term in (person.contact.email or "", phone)}
    session.close()
    assert [len(leads) for leads in found.values()] == [2, 2]
    assert [leads[-1] for leads in found.values()] == [lead_id.decode()] * 2
