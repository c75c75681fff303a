"""Bodies as tools really send them, through the whole of intake: compressed, as XML, with brackets in their names."""

import gzip
import json
from typing import Any

import pytest

from tests.unit.test_intake_app import FORM, LEAD
from tests.unit.test_intake_app import Desk as Front
from tests.unit.test_intake_deliver import KEY, KEYS, Desk

XML = b"""<?xml version="1.0"?><orders xmlns="urn:x">
<lead id="7"><email>ana@example.com</email><who><n>Ana</n></who></lead>
<lead id="8"><email>ben@example.com</email></lead></orders>"""


def zap(**entry: Any) -> Desk:
    return Desk({"zap": {"keys": KEYS, **entry}})


@pytest.mark.parametrize("label", ["gzip", "", "br"])
def test_a_compressed_lead_is_a_lead_with_its_text_as_raw(label: str) -> None:
    front, desk = Front(), zap()
    assert front.post(gzip.compress(LEAD), content_encoding=label).status_code == 200
    assert desk.post(f"/in/zap/{KEY}", gzip.compress(LEAD), content_encoding=label).status_code == 200
    for lead in (*front.leads(), *desk.leads()):
        assert (lead.contact.email, lead.raw) == ("ana@example.com", LEAD.decode())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(gzip.compress(gzip.compress(LEAD)), 400, "bad_gzip"), (gzip.compress(LEAD)[:-3], 400, "bad_gzip"),
     (gzip.compress(b" " * 9_000_000), 413, "too_large"),
     (gzip.compress(json.dumps({"email": "a@example.com", "x": "y" * 300_000}).encode()), 413, "too_large")],
)  # fmt: skip
def test_a_bad_or_large_compressed_body_is_refused(body: bytes, status: int, code: str) -> None:
    for answer in (Front().post(body), zap().post(f"/in/zap/{KEY}", body)):
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("label", ["application/xml", "text/xml; charset=utf-8", "", FORM])
def test_xml_is_read_by_the_sources_map(label: str) -> None:
    desk = zap(items="lead", id_field="@id", fields={"who.n": "name"})
    assert desk.post(f"/in/zap/{KEY}", XML, content_type=label).json()["accepted"] == 2
    assert [(lead.source_key, lead.contact.email, lead.contact.full_name) for lead in desk.leads()] == [
        ("7", "ana@example.com", "Ana"), ("8", "ben@example.com", None)]  # fmt: skip


def test_one_element_where_several_may_stand_is_one_lead() -> None:
    desk = zap(items="lead", id_field="@id")
    body = b"<orders><lead id='7'><email>ana@example.com</email></lead></orders>"
    assert desk.post(f"/in/zap/{KEY}", body).status_code == 200
    assert desk.leads()[0].raw == body.decode()


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-16"])
def test_the_text_of_a_document_is_kept_in_its_own_letters(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><l><name>José</name></l>'
    desk = zap()
    assert desk.post(f"/in/zap/{KEY}", text.encode(encoding), content_type="text/xml").status_code == 200
    assert (desk.leads()[0].raw, desk.leads()[0].contact.full_name) == (text, "José")


def test_names_with_brackets_are_read_by_dotted_paths() -> None:
    desk = zap(fields={"fields.n.value": "name", "fields.e.value": "email"}, drop=["form.*", "fields.*"])
    body = b"form[id]=1&fields[n][id]=n&fields[n][value]=Ana&fields[e][value]=ana%40example.com&meta[page][value]=x"
    assert desk.post(f"/in/zap/{KEY}", body, content_type=FORM).status_code == 200
    (lead,) = desk.leads()
    assert (lead.contact.full_name, lead.contact.email, lead.answers) == (
        "Ana", "ana@example.com", {"meta.page.value": "x"})  # fmt: skip


def test_a_plain_form_may_put_its_fields_in_brackets_too() -> None:
    front = Front()
    assert front.post(b"contact[email]=ana%40example.com&contact[name]=Ana", content_type=FORM).status_code == 200
    assert [(lead.contact.email, lead.contact.full_name) for lead in front.leads()] == [("ana@example.com", "Ana")]


def test_too_many_parameters_are_refused() -> None:
    answer = zap().post(f"/in/zap/{KEY}?{'&'.join(f'a{n}=1' for n in range(501))}", LEAD)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_fields")
