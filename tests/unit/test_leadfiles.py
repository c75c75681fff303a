"""Leads in files, in the shapes in which people save them."""

import pytest

from services.cli.leadfiles import read_leads

ANA, IVAN = {"email": "ana@example.com", "nombre": "Ana"}, {"email": "ivan@example.org", "nombre": "Iván"}


@pytest.mark.parametrize(
    "data",
    [
        '[{"email": "ana@example.com", "nombre": "Ana"}, {"email": "ivan@example.org", "nombre": "Iván"}]'.encode(),
        '{"email": "ana@example.com", "nombre": "Ana"}\n\n{"email": "ivan@example.org", "nombre": "Iván"}\n'.encode(),
        "email,nombre\nana@example.com,Ana\nivan@example.org,Iván\n".encode(),
        "\ufeffemail;nombre\r\nana@example.com;Ana\r\nivan@example.org;Iván\r\n".encode(),
        "email\tnombre\nana@example.com\tAna\nivan@example.org\tIván".encode("cp1252"),
    ],
    ids=["array", "lines", "comma", "semicolon, byte order mark", "tab, Windows"],
)
def test_the_same_leads_are_read_from_every_shape(data: bytes) -> None:
    assert read_leads(data) == [ANA, IVAN]


def test_one_object_is_one_lead() -> None:
    assert read_leads(b'{"email": "ana@example.com"}') == [{"email": "ana@example.com"}]


def test_a_line_break_within_a_quoted_field_is_no_new_lead_and_empty_fields_are_left_out() -> None:
    assert read_leads(b'email;message;phone\nana@example.com;"one;\ntwo";\n') == [
        {"email": "ana@example.com", "message": "one;\ntwo"}
    ]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [(b'{"a": 1}\n{"b": \n', "line 2"), (b"[1, 2]", "lead 1"), (b"", "no lead"), (b"email;name\n", "no lead")],
)
def test_what_holds_no_leads_is_refused_with_the_place(data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_leads(data)
