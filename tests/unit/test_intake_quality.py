"""Names: whoever may be somebody passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.quality import name_quality
from tests.unit.test_intake_app import Desk

PEOPLE = (
    "Ñ", "Øre", "李", "李李", "O'Neill", "Mª José", "Ana", "Al", "X Æ", "Lili", "Sasa", "Trew", "Wert", "Power",
    "Anne-Marie D’Arc", "José Mª Ruiz", "Nguyễn Văn A", "محمد", "Иван Петров", "여보", "Å", "J. R.", "Ana Test",
    "Contest", "Poe", "Asa", "Qwen", "Ana 2", "Null-Meyer", "de la O", "AA", "Ѳ", "Zé", "Bobbob", "Teste Prado",
)  # fmt: skip
NOBODY = (
    "123", "-", "...", "?", "600 000 012", "ana@example.com", "Ana ana@example.com", "https://example.com",
    "www.example.com", "x WWW.example.com", "aaa", "AAAA", "xxxxx", "x x x", "zzz zzz", "asdf", "ASDF", "asdfasdf",
    "asd asdasd", "qwerty", "Qwerty Asdf", "ytrewq", "dfghj", "zxcv", "qweqwe", "test", "TEST", "Test Test", "prueba",
    "prueba 1", "test123", "Testing", "azerty", "йцукен", "null", "undefined undefined", "\U0001f600", "asdfghjklñ",
)  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE)
def test_this_may_be_somebody(name: str) -> None:
    assert name_quality(name) == "ok"


@pytest.mark.parametrize("name", NOBODY)
def test_this_is_nobody(name: str) -> None:
    assert name_quality(name) == "implausible"


@pytest.mark.parametrize("name", [None, "", "  ", "\t\n"])
def test_nothing_is_missing(name: str | None) -> None:
    assert name_quality(name) == "missing"


@given(st.text(max_size=300))
def test_no_text_raises(name: str) -> None:
    assert name_quality(name) in ("ok", "missing", "implausible")


@pytest.mark.parametrize(
    ("body", "quality"),
    [(b'{"email": "a@example.com", "name": "Ana"}', "ok"), (b'{"email": "a@example.com", "name": "--"}', "implausible"),
     (b'{"email": "a@example.com", "first_name": "Ana", "last_name": "Ruiz"}', "ok"),
     (b'{"email": "a@example.com"}', "missing")],
)  # fmt: skip
def test_each_lead_says_how_good_its_name_is_and_is_taken_all_the_same(body: bytes, quality: str) -> None:
    desk = Desk()
    assert desk.post(body).status_code == 200
    assert [lead.name_quality for lead in desk.leads()] == [quality]
