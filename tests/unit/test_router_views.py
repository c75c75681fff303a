"""The router reads a part of each lead and passes the whole on: nothing of it may be lost, changed or invented."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas import codec
from schemas.codec import Unreadable
from schemas.events.assignments import Assignment
from schemas.events.event import derived_id
from schemas.events.leads import Contact, LeadQualified, LeadState, Origin, SubmissionClosed
from services.router import views
from services.router.choice import Standing
from services.router.escalation import overdue
from services.router.service import decide
from services.router.world import Lead, World
from services.runtime.verdict import Context, Emit, Outgoing
from tests.router_leads import BODY, NOW, book, context, report, told_by_qualify, uid, whole_lead

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
GOLDEN = [body for kind in LeadQualified.types for body in json.loads((EXAMPLES / f"{kind}.json").read_text())]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def some(model: type[BaseModel], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Such a part with any text, or none, in each field."""
    return st.builds(model, **dict.fromkeys(model.model_fields, st.none() | TEXT) | given)


LEADS = st.builds(
    LeadState, lead_id=st.uuids().map(str), person_id=st.uuids().map(str), product_line=TEXT, opened_at=TIMES,
    status=st.sampled_from(["open", "returned", "asleep"]), origin=some(Origin, source=TEXT, origin_type=TEXT),
    contact=some(Contact, country=st.sampled_from([None, "ES", "es"]), postcode=st.sampled_from(["41001", None])),
    warmth=st.sampled_from(["cold", "warm", "hot", "lukewarm"]), score=NUMBERS, fit=NUMBERS, engagement=NUMBERS,
    priority=st.integers(-(2**70), 2**70), submissions=st.integers(1, 9), product=st.none() | TEXT,
    message=st.none() | TEXT, budget=st.none() | NUMBERS, urgency=st.none() | TEXT,
    answers=st.dictionaries(TEXT, TEXT, max_size=4),
)  # fmt: skip


def body_of(lead: LeadState, version: int = 1) -> dict[str, Any]:
    """An event of qualify's with this lead, null where it knows nothing."""
    return LeadQualified(
        occurred_at=NOW, recorded_at=NOW, cause_id=uid("cause"), correlation_id=uid("submission"), version=version,
        lead=lead, rules_version="scoring-1",
    ).model_dump(mode="json")  # fmt: skip


def world_of(body: dict[str, Any]) -> World:
    lead_id = body["lead"]["lead_id"]
    return World({lead_id: Lead(lead_id)}, {rep.id: Standing(rep.id) for rep in book().rules.reps})


def tell(world: World, body: dict[str, Any], rules: Context | None = None, **layout: Any) -> Outgoing:
    """What the router tells of this event."""
    event_id, written = uid(f"event {body['version']}"), json.dumps(body, **layout).encode()
    event = told_by_qualify(event_id, "lead.qualified", body["lead"]["lead_id"], written)
    verdict = decide(event, world, rules or context())
    assert isinstance(verdict, Emit)
    (told,) = verdict.events
    return told


def parsed(event: Outgoing) -> dict[str, Any]:
    """The event's JSON; anything that is none fails."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    body: dict[str, Any] = json.loads(event.value or "", parse_constant=refuse)
    return body


@given(LEADS, st.booleans(), st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_lead_is_told_as_the_contracts_model_would_write_it(
    lead: LeadState, escaped: bool, indent: int | None, nulls: bool
) -> None:
    body = body_of(lead)
    if not nulls:
        body["lead"] = lead.model_dump(mode="json", exclude_none=True)
    told = tell(world_of(body), body, ensure_ascii=escaped, indent=indent)
    event = Assignment.model_validate_json(told.value or "")
    assert event.lead == lead
    assert "\n" not in (told.value or "")
    if not nulls:
        assert parsed(told) == json.loads(event.model_dump_json(exclude_none=True))


@pytest.mark.parametrize("body", GOLDEN)
@pytest.mark.parametrize("default_pool", ["default_pool: north\n", ""])
def test_each_example_of_the_contract_is_assigned_or_parked_whole(body: dict[str, Any], default_pool: str) -> None:
    rules = context(rules=book(BODY.replace("default_pool: north\n", default_pool)))
    told = tell(world_of(body), body, rules)
    event = Assignment.model_validate_json(told.value or "")
    given = LeadQualified.model_validate(body)
    assert told.type == ("lead.assigned" if default_pool else "lead.parked")
    assert event.lead == given.lead
    assert (event.occurred_at, event.correlation_id, event.seen_version) == (
        given.occurred_at, given.correlation_id, given.version
    )  # fmt: skip
    assert (told.version, told.key) == (event.version, given.lead.lead_id)
    assert told.id == derived_id(event.cause_id, told.type)
    assert set(parsed(told)) <= set(Assignment.model_fields)


def test_what_a_newer_producer_adds_to_a_lead_passes_on_through_every_change() -> None:
    body = body_of(whole_lead())
    body["lead"] |= {"mood": {"today": ["good", None]}}
    body["lead"]["contact"]["nickname"] = "Ñandú 🦤"
    world = world_of(body)
    events = [tell(world, body), tell(world, body | {"version": 2})]
    later = NOW + timedelta(hours=5)
    events += overdue(world, world.leads[uid(1)], context(later, later))
    verdict = decide(report(1, "lead.won"), world, context())
    assert isinstance(verdict, Emit)
    events += verdict.events[1:]
    assert [event.type for event in events] == ["lead.assigned", "lead.updated", "lead.reassigned", "lead.closed"]
    for event in events:
        lead = parsed(event)["lead"]
        assert lead["mood"] == {"today": ["good", None]}
        assert lead["contact"]["nickname"] == "Ñandú 🦤"


def test_a_lead_that_is_odd_where_the_router_does_not_look_passes_on() -> None:
    body = body_of(whole_lead())
    body["lead"] |= {"score": "high", "answers": None, "budget": 10**400}
    assert parsed(tell(world_of(body), body))["lead"]["score"] == "high"


def test_a_number_beyond_all_floats_does_not_leave_json() -> None:
    body = body_of(whole_lead())
    written = json.dumps(body).replace('"budget": null', '"budget": 1e999').encode()
    verdict = decide(told_by_qualify(uid("e"), "lead.qualified", uid(1), written), world_of(body), context())
    assert isinstance(verdict, Emit)
    assert parsed(verdict.events[0])["lead"]["budget"] is None


@pytest.mark.parametrize("field", [name for name, field in LeadState.model_fields.items() if field.is_required()])
def test_a_lead_without_a_field_that_it_must_have_is_no_event(field: str) -> None:
    body = body_of(whole_lead())
    del body["lead"][field]
    with pytest.raises(Unreadable) as refused:
        read("lead.qualified", body)
    assert (refused.value.reason, refused.value.detail) == ("schema", f"lead.qualified: lead.{field}: missing")


@pytest.mark.parametrize(("field", "wrong"), [("country", 34), ("postcode", ["41"]), ("phone", 600000001)])
def test_a_lead_that_territories_cannot_be_asked_about_is_no_event(field: str, wrong: object) -> None:
    body = body_of(whole_lead())
    body["lead"]["contact"][field] = wrong
    with pytest.raises(Unreadable, match=f"contact.{field}"):
        read("lead.qualified", body)


def test_a_submission_that_opened_no_lead_is_read_by_its_frame() -> None:
    (body, *_) = json.loads((EXAMPLES / "lead.disqualified.json").read_text())
    assert isinstance(read("lead.disqualified", body).data, views.Closed)


def read(kind: str, body: dict[str, Any]) -> codec.Envelope:
    headers = codec.write(uid("event"), kind, "caudal/qualify")
    return codec.read(views.QUALIFIED, b"key", json.dumps(body).encode(), headers, "2026-03-02")


@pytest.mark.parametrize(
    ("view", "contract"),
    [
        (views.Qualified, LeadQualified), (views.Closed, SubmissionClosed), (views.LeadOf, LeadState),
        (views.ContactOf, Contact), (views.OriginOf, Origin),
    ],
)  # fmt: skip
def test_each_view_is_a_part_of_the_contract(view: type[BaseModel], contract: type[BaseModel]) -> None:
    parts = {views.LeadOf: LeadState, views.ContactOf: Contact, views.OriginOf: Origin}
    for name, field in view.model_fields.items():
        promised = contract.model_fields[name]
        assert (parts.get(field.annotation, field.annotation), field.default) == (promised.annotation, promised.default)  # type: ignore[call-overload]  # any annotation may be asked for
