"""Each line of the table in `services/intake/parse.py`: what real senders do is read, what is ambiguous is refused."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_core import from_json

from schemas.events.leads import LeadReceived
from services.intake.body import MOST_ITEM_BYTES, Items, read_items
from services.intake.decide import decide
from services.intake.parse import names_once
from services.intake.rules import SourceRules
from services.runtime.verdict import Book, Context, Dead, Emit, Incoming, Verdict
from tests.unit.test_intake_app import FORM, LEAD, MULTIPART, SECRET, Desk

ANA = '{"email": "ana@example.com", '


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("label", ["text/plain;charset=UTF-8", None, "", FORM, MULTIPART, "application/x-ndjson"])
def test_json_is_read_whatever_it_is_called(desk: Desk, label: str | None) -> None:
    headers = {} if label is None else {"content_type": label}
    assert desk.post(LEAD, **headers).status_code == 200
    assert [lead.contact.email for lead in desk.leads()] == ["ana@example.com"]


@pytest.mark.parametrize(("body", "label"), [(LEAD, "application/json"), (b"email=ana%40example.com", FORM)])
def test_a_bom_at_the_start_is_passed_over(desk: Desk, body: bytes, label: str) -> None:
    assert desk.post(b"\xef\xbb\xbf" + body, content_type=label).status_code == 200
    assert [lead.contact.email for lead in desk.leads()] == ["ana@example.com"]


@pytest.mark.parametrize("written", ["600000012", "600000012.0", '"600 000 012"', "34600000012", "3.4600000012e10"])
def test_a_phone_may_be_a_number(desk: Desk, written: str) -> None:
    assert desk.post(b'{"phone": %s}' % written.encode()).status_code == 200
    assert [lead.contact.phone for lead in desk.leads()] == ["+34600000012"]


@pytest.mark.parametrize("written", ["123", "true", "1.5"])
def test_an_email_that_is_none_keeps_the_lead_and_its_quality_says_so(desk: Desk, written: str) -> None:
    assert desk.post(b'{"email": %s, "phone": "600000012"}' % written.encode()).status_code == 200
    (lead,) = desk.leads()
    assert (lead.contact.email, lead.contact.email_raw, lead.email_quality) == (None, written, "invalid")


@pytest.mark.parametrize(
    ("field", "name"),
    [(r'"name": "A\u0000na\u0000"', "Ana"), (r'"name": "Ana\ud83d"', "Ana\ufffd"),
     (r'"name": "\udc00Ana"', "\ufffdAna"), (r'"name": "Ana \ud83d\ude00"', "Ana \U0001f600"),
     (r'"name": "Ana\ud800\u0000"', "Ana\ufffd")],
)  # fmt: skip
@pytest.mark.parametrize("batch", [False, True])
def test_what_postgresql_cannot_keep_is_cleaned_and_the_lead_is_kept(
    desk: Desk, field: str, name: str, batch: bool
) -> None:
    body = f"{ANA}{field}}}"
    answer = desk.post((f"[{body}, {body}]" if batch else body).encode())
    assert answer.status_code == 200
    assert {lead.contact.full_name for lead in desk.leads()} == {name}
    assert batch or desk.leads()[0].raw == body
    for message in desk.log.messages:
        (message.value or b"").decode()
        assert "\x00" not in json.dumps(json.loads(message.value or b""), ensure_ascii=False)
        assert rb"\u0000" not in (message.value or b"").replace(rb"\\u0000", b"")


def test_a_key_twice_with_one_value_is_read(desk: Desk) -> None:
    assert desk.post(b'{"email": "ana@example.com", "email": "ana@example.com"}').status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [('{"email": "ana@example.com", "email": "ben@example.com"}', "email"), (ANA + '"x": {"a": 1, "a": 2}}', "a"),
     (ANA + '"x": [[{"b": 1, "b": null}]]}', "b"), (ANA + r'"c": 1, "\u0063": 2}', "c"),
     (ANA + r'"c\ud800": 1, "c\ud800": 2}', "c\ufffd"), ('{"leads": [], "leads": [1]}', "leads")],
)  # fmt: skip
def test_a_key_twice_with_two_values_is_refused_by_its_name(desk: Desk, body: str, field: str) -> None:
    response = desk.post(body.encode())
    assert (response.status_code, response.json()["code"]) == (422, "duplicate_key")
    assert [(f["field"], f["code"]) for f in response.json()["fields"]] == [(field, "duplicate_key")]
    assert desk.log.messages == []


URL = '"page_url": "https://www.example.com:443/a?at=12:30"'


@pytest.mark.parametrize(
    "body",
    [f"{ANA}{URL}}}", f'{ANA}{URL}, "x" : {{"y"\t:\r\n[{{"at": "12:30:00"}}]}}}}', f"[{ANA}{URL}}}, {ANA}{URL}}}]"],
)
def test_colons_in_texts_do_not_cost_the_slow_way(body: str) -> None:
    assert names_once(body.encode(), from_json(body))


@pytest.mark.parametrize("between", ["", " ", "\t\r\n  "])
@pytest.mark.parametrize("text", ["", "https://www.example.com", ": a", '\\":', '\\" :', "\\\\", ":"])
def test_no_text_hides_a_key_that_is_named_twice(desk: Desk, between: str, text: str) -> None:
    body = f'{{"email"{between}: "ana@example.com", "email"{between}: "ben@example.com", "x": "{text}"}}'
    assert not names_once(body.encode(), from_json(body))
    assert desk.post(body.encode()).json()["code"] == "duplicate_key"


@pytest.mark.parametrize(("size", "threads"), [(MOST_ITEM_BYTES - 100, 0), (MOST_ITEM_BYTES + 1, 1)])
def test_large_batch_is_read_off_the_loop(size: int, threads: int) -> None:
    started: list[int] = []

    async def read() -> object:
        pool = ThreadPoolExecutor(1, initializer=lambda: started.append(threading.get_ident()))
        asyncio.get_running_loop().set_default_executor(pool)
        return await read_items("application/json", b'[{"name": "%s"}]' % (b"a" * size))

    assert isinstance(asyncio.run(read()), Items)
    assert len(started) == threads


@pytest.mark.parametrize("wrap", ["[%s]", '{"leads": [%s]}'])
def test_a_key_twice_refuses_its_item_and_not_the_batch(desk: Desk, wrap: str) -> None:
    items = [
        '{"email": "ana@example.com"}',
        '{"email": "b@example.com", "email": "c@example.com"}',
        '{"phone": 600000012}',
    ]
    answer = desk.post((wrap % ", ".join(items)).encode()).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["results"][1]["error"]["code"] == "duplicate_key"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400 + ".5"])
def test_a_number_beyond_every_double_is_passed_over_and_the_lead_is_kept(desk: Desk, number: str) -> None:
    assert desk.post(f'{ANA}"budget": {number}, "n": {number}}}'.encode()).status_code == 200
    (lead,) = desk.leads()
    assert (lead.budget, lead.answers) == (None, {})


@pytest.mark.parametrize("number", ["9223372036854775808", "9" * 4300])
def test_a_long_number_keeps_its_digits(desk: Desk, number: str) -> None:
    assert desk.post(f'{ANA}"id": {number}}}'.encode()).status_code == 200
    assert [lead.answers for lead in desk.leads()] == [{"id": number[:2000]}]


def judged(body: bytes) -> Verdict:
    """What is said of this record on the topic of a source."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rules = SourceRules.model_validate({"sources": {"crm": {"kind": "kafka"}}})
    record = Incoming("1", "", "", "", None, "sources.crm.v1", 0, 0, now, "1", now.date(), body)
    return decide(record, SECRET, Context(now, {"sources": Book("sources-1", rules)}, now))


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b'{"email": "a@example.com", "email": "b@example.com"}', "duplicate_key"),
     (b'{"email": "a@example.com", "x": {"a": 1, "a": 2}, "leads": []}', "duplicate_key"),
     (b'{"email": "a@example.com", "leads": [{"a": 1, "a": 2}]}', "duplicate_key"),
     (LEAD.decode().encode("utf-16"), "bad_encoding")],
)  # fmt: skip
def test_a_platforms_record_is_held_to_the_same_rules(body: bytes, reason: str) -> None:
    verdict = judged(body)
    assert isinstance(verdict, Dead)
    assert verdict.reason == reason


@pytest.mark.parametrize("leads", ["[]", "[1]", r'[{"name": "\ud800"}]', '"none"'])
def test_a_platforms_record_is_one_item_whatever_its_fields_are_called(leads: str) -> None:
    verdict = judged(rf'{ANA}"name": "A\ud800", "leads": {leads}}}'.encode())
    assert isinstance(verdict, Emit)
    lead = next(event for event in (one.value for one in verdict.events) if '"name' in (event or ""))
    assert LeadReceived.model_validate_json(lead or "").contact.full_name == "A\ufffd"


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "NaN": (f'{ANA}"n": NaN}}'.encode(), "bad_json"),
    "Infinity": (f'{ANA}"n": Infinity}}'.encode(), "bad_json"),
    "-Infinity": (f'{ANA}"n": -Infinity}}'.encode(), "bad_json"),
    "NaN beside half a pair": (rb'{"a": "\ud800", "n": NaN}', "bad_json"),
    "NaN beside a key twice": (b'{"a": 1, "a": 2, "n": NaN}', "bad_json"),
    "5,000 digits": (f'{ANA}"n": {"9" * 5000}}}'.encode(), "bad_json"),
    "5,000 digits beside half a pair": (rb'{"a": "\ud800", "n": ' + b"9" * 5000 + b"}", "bad_json"),
    "250 levels": (b"[" * 250 + b"]" * 250, "bad_json"),
    "250 levels beside half a pair": (rb'{"a": "\ud800", "n": ' + b"[" * 250 + b"]" * 250 + b"}", "bad_json"),
    "100,000 levels beside half a pair": (
        rb'{"a": "\ud800", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "bad_json",
    ),
    "two documents": (LEAD + b"\n" + LEAD, "bad_json"),
    "comma too many": (b'{"email": "ana@example.com",}', "bad_json"),
    "a BOM alone": (b"\xef\xbb\xbf", "empty_body"),
    **{name: (LEAD.decode().encode(name), "bad_encoding") for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")},
    "Latin-1": ('{"name": "José"}'.encode("latin-1"), "bad_encoding"),
    "Latin-1 beside half a pair": (rb'{"a": "\ud800", "name": "Jos' + b'\xe9"}', "bad_encoding"),
    "half a pair as bytes": (b'{"name": "\xed\xa0\x80"}', "bad_encoding"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_json_is_refused_with_the_reason(desk: Desk, case: str) -> None:
    body, code = UNREADABLE[case]
    response = desk.post(body)
    answer: dict[str, Any] = response.json()
    assert (response.status_code, answer["code"]) == (400, code)
    assert answer["message"]
    assert desk.log.messages == []


def test_150_levels_are_read(desk: Desk) -> None:
    assert desk.post(f'{ANA}"n": {"[" * 150 + "]" * 150}}}'.encode()).status_code == 200
