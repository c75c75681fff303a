"""What a submission becomes, whatever its shape."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.leads import Contact, LeadReceived, Origin
from schemas.events.people import ConsentReceived
from schemas.identity import address_hash, identity_hash
from services.intake.arrival import Accepted, Arrival, Refused
from services.intake.fields import FIELDS
from services.intake.parse import parse_json
from services.intake.sources.source import Source
from services.intake.submission import read_lead

SECRET = "a secret of the tests, 32 letters"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = Source(name="website", region="ES", channel="web", required=("email|phone",), consent_text="I agree.")
OPEN = Source(name="open")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


def arrival(content: dict[str, Any], source: Source = WEB, key: str | None = None) -> Arrival:
    return Arrival(source, content, json.dumps(content), key, NOW, NOW, SECRET)


def accepted(item: Arrival) -> tuple[str, LeadReceived, list[ConsentReceived]]:
    result = read_lead(item)
    assert isinstance(result, Accepted), result
    lead, *consents = (event.value or "" for event in result.events)
    return result.id, LeadReceived.model_validate_json(lead), list(map(ConsentReceived.model_validate_json, consents))


def test_the_event_carries_the_submission_under_its_own_id_and_its_identity_as_key() -> None:
    result = read_lead(arrival({"email": "Ana@Example.com"}))
    assert isinstance(result, Accepted)
    (event,) = result.events
    assert event.value is not None
    lead = LeadReceived.model_validate_json(event.value)
    assert event.id == result.id == lead.cause_id == lead.correlation_id
    assert event.key == lead.identity == identity_hash(SECRET, "ana@example.com", None, result.id)
    assert lead.raw == '{"email": "Ana@Example.com"}'


def test_spanish_and_english_names_in_any_spelling_mean_the_same_fields() -> None:
    spanish = {"Correo electrónico": "ana@example.com", "Teléfono": "600 000 012", "Nombre": "Ana",
               "Apellidos": "Gil Paz", "Empresa": "Ejemplo SL", "Código-Postal": "28001",
               "Mensaje": "hola"}  # fmt: skip
    english = {"email": "ana@example.com", "phone": "600 000 012", "first_name": "Ana", "Last Name": "Gil Paz",
               "company": "Ejemplo SL", "zip": "28001", "comments": "hola"}  # fmt: skip
    _, one, _ = accepted(arrival(spanish))
    _, two, _ = accepted(arrival(english))
    assert one.contact == two.contact
    assert (one.contact.given_name, one.contact.full_name, one.contact.phone) == ("Ana", "Ana Gil Paz", "+34600000012")
    assert one.message == two.message == "hola"
    assert one.answers == two.answers == {}


def test_a_name_alone_is_the_full_name() -> None:
    _, lead, _ = accepted(arrival({"nombre": "Ana Gil", "email": "ana@example.com"}))
    assert (lead.contact.full_name, lead.contact.given_name) == ("Ana Gil", None)


def test_nested_contact_data_and_campaign_parameters_are_found() -> None:
    content = {"contact": {"email": "ana@example.com", "name": "Ana"}, "company": {"name": "Ejemplo SL"},
               "utm": {"source": "news", "campaign": "spring"}, "gclid": "abc"}  # fmt: skip
    _, lead, _ = accepted(arrival(content))
    assert (lead.contact.full_name, lead.contact.company) == ("Ana", "Ejemplo SL")
    assert (lead.origin.channel, lead.origin.campaign, lead.origin.click_id) == ("news", "spring", "gclid:abc")


def test_origin_is_the_sources_and_cannot_be_claimed_by_the_body() -> None:
    content = {"email": "ana@example.com", "source": "other", "origin_type": "spear", "score": 99, "assigned_to": "me"}
    _, lead, _ = accepted(arrival(content))
    assert (lead.source, lead.origin.source, lead.origin.origin_type, lead.origin.channel) == (
        "website", "website", "net", "web")  # fmt: skip
    assert lead.answers["score"] == "99"


def test_a_source_may_name_its_own_fields() -> None:
    source = Source(name="fair", fields={"Q1": "message"}, test_field="demo")
    _, lead, _ = accepted(arrival({"Q1": "a pump", "demo": "yes"}, source))
    assert (lead.message, lead.is_test) == ("a pump", True)


def test_unknown_fields_are_answers_bounded_in_number_and_length() -> None:
    content = {"email": "ana@example.com", **{f"q{i}": "x" * 5000 for i in range(300)}, "many": ["a", "b"]}
    _, lead, _ = accepted(arrival(content))
    assert len(lead.answers) == 100
    assert max(map(len, lead.answers.values())) == 2000


def test_an_unreadable_budget_is_kept_as_an_answer() -> None:
    _, lead, _ = accepted(arrival({"email": "ana@example.com", "presupuesto": "depends"}))
    assert (lead.budget, lead.answers) == (None, {"budget": "depends"})


def test_an_address_that_is_none_is_kept_as_written_and_judged() -> None:
    _, lead, _ = accepted(arrival({"email": "ana at example", "phone": "5"}, WEB.model_copy(update={"required": ()})))
    assert (lead.contact.email, lead.contact.email_raw, lead.email_quality) == (None, "ana at example", "invalid")
    assert (lead.contact.phone, lead.contact.phone_raw, lead.phone_quality) == (None, "5", "invalid")


def test_identity_is_the_folded_address_but_mail_goes_to_the_one_written() -> None:
    _, one, _ = accepted(arrival({"email": "a.na+shop@gmail.com"}))
    _, two, _ = accepted(arrival({"email": "ana@googlemail.com"}))
    assert one.identity == two.identity
    assert one.contact.email == "a.na+shop@gmail.com"


def test_all_that_is_wrong_is_said_at_once() -> None:
    result = read_lead(arrival({"name": {"first": 1}, "message": ["x"], "consents": "yes"}))
    assert isinstance(result, Refused)
    assert [(f.field, f.code) for f in result.faults] == [
        ("name", "wrong_type"), ("message", "wrong_type"), ("consents", "wrong_type"),
        ("email", "required")]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "given"),
    [({"email": "roto@@example"}, "e-mail"), ({"phone": "12345"}, "phone"),
     ({"email": "roto@@example", "phone": "12345"}, "e-mail and the phone")],
)  # fmt: skip
def test_a_required_address_that_cannot_be_one_is_missing(content: dict[str, Any], given: str) -> None:
    result = read_lead(arrival(content))
    assert isinstance(result, Refused)
    (fault,) = result.faults
    said = f"email or phone is required by this source; the {given} given cannot be one"
    assert (fault.field, fault.code, fault.message) == ("email", "required", said)


def test_one_way_to_reach_somebody_is_enough_and_a_national_number_counts_where_no_country_is_known() -> None:
    accepted(arrival({"email": "roto@@example", "phone": "600 000 012"}))
    accepted(arrival({"phone": "600 000 012"}, WEB.model_copy(update={"region": None})))


def test_an_empty_object_is_refused() -> None:
    result = read_lead(arrival({}, OPEN))
    assert isinstance(result, Refused)
    assert result.faults[0].code == "empty"


def test_a_repeat_on_the_same_day_has_the_same_id_and_another_day_or_body_or_source_another() -> None:
    item = arrival({"email": "ana@example.com"})
    same, _, _ = accepted(item)
    assert (
        accepted(replace(item, recorded_at=NOW + timedelta(hours=1), received_at=NOW + timedelta(hours=1)))[0] == same
    )
    others = [replace(item, received_at=NOW + timedelta(days=1)), replace(item, raw=item.raw + " "),
              replace(item, source=WEB.model_copy(update={"name": "other"}))]  # fmt: skip
    assert len({same, *(accepted(other)[0] for other in others)}) == 4


def test_a_key_beside_the_submission_gives_its_id_whatever_the_body_and_day() -> None:
    one = accepted(arrival({"email": "ana@example.com"}, key="k1"))[0]
    two = accepted(replace(arrival({"phone": "600000012"}, key="k1"), received_at=NOW + timedelta(days=9)))[0]
    assert one == two != accepted(arrival({"email": "ana@example.com"}, key="k2"))[0]


@given(st.integers(0, 2**70))
def test_the_sources_own_key_wins_and_is_the_same_as_number_and_as_text(number: int) -> None:
    source = Source(name="ads", id_field="lead_id")
    one, lead, _ = accepted(arrival({"lead_id": number}, source, key="request-1"))
    two, _, _ = accepted(arrival({"lead_id": str(number)}, source))
    assert one == two
    assert lead.source_key == str(number)


def test_consent_given_with_a_submission_is_an_event_of_its_own_with_its_proof() -> None:
    content = {"email": "ana@example.com", "phone": "600000012", "consent": "on",
               "consents": [{"channel": "sms", "purpose": "offers", "granted": True, "text": "By SMS."}]}  # fmt: skip
    lead_id, lead, consents = accepted(arrival(content))
    assert [(c.channel, c.purpose, c.text) for c in consents] == [
        ("email", "marketing", "I agree."), ("sms", "offers", "By SMS.")]  # fmt: skip
    assert consents[0].address == address_hash(SECRET, "email", "ana@example.com")
    assert consents[1].address == address_hash(SECRET, "phone", "+34600000012")
    assert {c.correlation_id for c in consents} == {lead_id}
    assert len(lead.consents) == 2


def test_a_box_left_empty_is_neither_given_nor_withdrawn() -> None:
    _, lead, consents = accepted(arrival({"email": "ana@example.com", "consent": False}))
    assert [c.granted for c in lead.consents] == [False]
    assert consents == []


def test_a_word_that_is_neither_yes_nor_no_is_an_answer_and_no_consent() -> None:
    listed = [{"channel": "sms", "granted": "later"}]
    _, lead, consents = accepted(arrival({"email": "ana@example.com", "consent": "pendiente", "consents": listed}))
    assert (list(lead.consents), consents) == ([], [])
    assert lead.answers == {"consent": "pendiente", "consent sms marketing": "later"}


@given(
    st.dictionaries(
        st.sampled_from([*FIELDS, "utm", "otro"]),
        st.sampled_from(["Ana", "ana@example.com", "600 000 012", "si", "1.500,50", "2026-02-01T10:00:00+02:00", 7])
        | st.text(min_size=1, max_size=9)
        | st.lists(st.fixed_dictionaries({}, optional={"channel": st.text(max_size=3), "text": st.just("Yes.")})),
        max_size=12,
    ),
    st.sampled_from([OPEN, OPEN.model_copy(update={"id_field": "otro"}), WEB.model_copy(update={"required": ()}),
                     OPEN.model_copy(update={"cost": Decimal("1.25"), "product": "pumps", "campaign": "spring"})]),
)  # fmt: skip
def test_the_event_is_written_as_its_model_would_write_it(content: dict[str, Any], source: Source) -> None:
    """Byte for byte: no field that the model does not know, none in another form or place, no default left out."""
    parsed = parse_json(json.dumps(content).encode())
    result = read_lead(Arrival(source, parsed, json.dumps(content), None, NOW, NOW, SECRET))
    if isinstance(result, Accepted):
        value = result.events[0].value or ""
        assert value == LeadReceived.model_validate_json(value).model_dump_json(exclude_none=True)


def test_every_field_of_the_contract_about_person_and_origin_can_be_sent() -> None:
    told = {name: f"{name} 1" for name in FIELDS if name not in ("consents", "phone", "email", "name")}
    _, lead, _ = accepted(arrival({**told, "email": "Ana@Example.com", "phone": "600000012", "name": "Ana"}))
    assert {name for name, value in lead.contact if value is not None} == set(Contact.model_fields)
    assert {name for name, value in lead.origin if value is not None} == set(Origin.model_fields)


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from(["email", "consents", "utm", "phone"]), json_values, max_size=8
    )
)
def test_whatever_is_sent_becomes_a_readable_event_or_a_reasoned_refusal(content: dict[str, Any]) -> None:
    raw = json.dumps(content)
    parsed = parse_json(raw.encode())
    assert isinstance(parsed, dict), parsed
    result = read_lead(Arrival(OPEN, parsed, raw, None, NOW, NOW, SECRET))
    if isinstance(result, Refused):
        assert all(fault.code and fault.message for fault in result.faults)
    else:
        value = result.events[0].value or ""
        lead = LeadReceived.model_validate_json(value.encode())  # encodes: no lone surrogate
        assert "\\u0000" not in value.replace("\\\\u0000", "")
        assert lead.raw == raw


@pytest.mark.parametrize("name", ["email", "constructor", "__proto__", "x" * 5000, "\x00", ""])
def test_odd_field_names_do_no_harm(name: str) -> None:
    result = read_lead(arrival({name: "value", "phone": "600000012"}))
    assert isinstance(result, Accepted)
