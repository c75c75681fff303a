"""What is no proof, no charset, no index and no secret is met in words, never as a fault of ours."""

import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from services.intake.answers import Problem
from services.intake.body import read_multipart
from services.intake.keys import presented
from services.intake.sources.paths import at
from services.intake.sources.reading import read
from services.intake.sources.secrets import SourceSecrets
from tests.unit.test_intake_app import Desk

FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n%s\r\n--b--\r\n'


@pytest.mark.parametrize("said", ["Basic é", "Basic a", "Basic /w==", "Basic", "Basic \x00"])
def test_a_user_that_is_no_base64_is_no_key(said: str) -> None:
    assert not presented({"authorization": said})


@pytest.mark.parametrize("said", [
    "charset=undefined", "charset=unicode_escape", "charset=punycode", "charset=idna", "charset=hex", "charset=\x00",
    "charset*=utf-8''undefined", "charset*0=unde; charset*1=fined", 'CHARSET="undefined"', "charset=utf-16",
    "charset=iso-8859-12", "charset=cp1259", "charset=é", "",
])  # fmt: skip
def test_a_form_in_a_charset_of_no_page_is_read_as_utf_8(said: str) -> None:
    written = "josé\\u0041@example.com"
    for label in (f"{FORM}; {said}", f"multipart/form-data; {said}; boundary=b"):
        assert read_multipart(label, PART % written.encode()) == ({"email": written}, f"email={quote_plus(written)}")


def test_a_form_in_a_charset_of_pages_is_read_in_it() -> None:
    found = read_multipart(f"{FORM}; charset=KOI8-R", PART % "Анна".encode("koi8-r"))
    assert isinstance(found, tuple)
    assert found[0] == {"email": "Анна"}


@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary="', '; boundary="a\\"b"', "; boundary=é"])
def test_a_form_without_its_boundary_is_refused_in_words(boundary: str) -> None:
    found = read_multipart(f"multipart/form-data{boundary}", PART % b"a@example.com")
    assert isinstance(found, Problem)
    assert found.code == "bad_form"


def test_a_form_in_bytes_of_a_charset_that_nobody_knows_is_read_as_browsers_do() -> None:
    for said in ("iso-8859-12", "cp1259"):
        found = read(f"application/x-www-form-urlencoded; charset={said}", b"name=Jos%E9")
        assert isinstance(found, tuple)
        assert found[0] == {"name": "José"}


def test_a_multipart_lead_in_an_odd_charset_is_taken() -> None:
    desk = Desk()
    for said in ("undefined", "punycode", "unicode_escape"):
        answer = desk.post(PART % b"ana@example.com", content_type=f"{FORM}; charset={said}")
        assert answer.status_code == 200
    assert [lead.contact.email for lead in desk.leads()] == ["ana@example.com"] * 3


def test_an_authorization_of_no_ascii_is_refused() -> None:
    headers = {"authorization": "Basic é".encode("latin-1")}
    assert Desk().call("POST", "/v1/leads", content=b"{}", headers=headers).status_code == 401


def test_a_step_of_any_length_is_no_place_of_a_list() -> None:
    assert at(["a"], "0") == "a"
    for step in ("9" * 5000, "1", "-1", "", "\u0660", "0" * 5000):
        assert at(["a"], step) is None


def test_a_secret_that_is_no_text_is_none_and_the_others_hold(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    odd = {
        "a": {"secret": 5},
        "b": {"secret": None},
        "c": {"secret": {"x": "y"}},
        "d": {"secret": [5, "two", ""]},
        "e": 5,
    }
    file.write_text(json.dumps(odd | {"f": {"secret": "good"}}))
    secrets = SourceSecrets(str(file))
    assert [secrets.of(name) for name in "abcdef"] == [(), (), (), ("two",), (), ("good",)]
