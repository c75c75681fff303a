"""Values as senders write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import fold_email
from services.intake.normalise import email, phone, region_of
from services.intake.values import amount, answered, moment, text, truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), st.integers(1, 50))
def test_text_is_trimmed_bounded_and_without_nul(value: object, limit: int) -> None:
    plain = text(value, limit)
    assert plain is None or (0 < len(plain) <= limit and "\x00" not in plain and plain == plain.strip())


@given(st.integers(-(10**30), 10**30))
def test_an_id_is_the_same_text_whether_it_came_as_number_or_as_text(number: int) -> None:
    assert text(number) == text(str(number))


@pytest.mark.parametrize("ticked", [True, 1, "on", "Yes", "sí", " TRUE "])
def test_boxes_count_as_ticked_in_all_usual_notations(ticked: object) -> None:
    assert truth(ticked)


@pytest.mark.parametrize("empty", [False, 0, "", "no", None, "off"])
def test_everything_else_is_not_ticked(empty: object) -> None:
    assert not truth(empty)


@pytest.mark.parametrize(
    "word",
    ["x", "X", "[x]", "✓", "✔️", "Sí, acepto", "Acepto", "ACEPTO recibir publicidad", "VERDADERO", "wahr", "vrai", "oui",
     "ja", "yes, I agree", "I agree", "J'accepte", "¡Sí!", "checked", "Subscribed", "opt-in", 1.0],
)  # fmt: skip
def test_a_yes_is_known_as_people_and_spreadsheets_write_it(word: object) -> None:
    assert answered(word) is True


@pytest.mark.parametrize(
    "word", ["No", "n", "No acepto", "no, gracias", "FALSO", "falsch", "-", "0", 0.0, "off", "", None, "Unsubscribed"]
)
def test_a_no_is_known_as_people_and_spreadsheets_write_it(word: object) -> None:
    assert answered(word) is False


@pytest.mark.parametrize(
    "word", ["quizás", "pendiente", "?", "1 de 2", "12/03/2026", "y luego", "x2", "Sí, pero no por SMS", "n/a", "sixty"]
)
def test_any_other_word_is_neither_yes_nor_no(word: str) -> None:
    assert answered(word) is None


@pytest.mark.parametrize(
    ("written", "number"),
    [("1.500,50 €", 1500.5), ("$1,500.50", 1500.5), ("1500", 1500), ("12.000", 12000), ("0.125", 0.125),
     ("2,5 M", 2.5), ("about 3 000 euros", 3000), ("none", None), (None, None), ("1.234.567", 1234567)],
)  # fmt: skip
def test_amounts_are_read_in_european_and_english_notation(written: str | None, number: float | None) -> None:
    assert amount(written) == number


@given(st.text())
def test_no_text_breaks_the_reading_of_amounts_and_moments(written: str) -> None:
    assert amount(written) is None or amount(written) >= 0  # type: ignore[operator]  # not None here
    assert moment(written, NOW) <= NOW


@pytest.mark.parametrize("value", ["2026-02-28T10:00:00+01:00", "2026-02-28T09:00:00Z", "1772269200", "1772269200000"])
def test_a_moment_is_read_from_iso_text_and_unix_time(value: str) -> None:
    assert moment(value, NOW) == datetime(2026, 2, 28, 9, tzinfo=UTC)


@pytest.mark.parametrize("value", ["2031-01-01T00:00:00Z", "yesterday", None, "9" * 40, "nan", "²", "."])
def test_a_moment_that_is_unreadable_or_in_the_future_is_the_arrival(value: str | None) -> None:
    assert moment(value, NOW) == NOW


@pytest.mark.parametrize(
    ("written", "address", "quality"),
    [(" Ana.Gil@Example.COM ", "ana.gil@example.com", "ok"), ("mailto:ana@example.com", "ana@example.com", "ok"),
     ("ventas@example.com", "ventas@example.com", "role"), ("sales+eu@example.com", "sales+eu@example.com", "role"),
     ("ana@ejemploñ.example.org", "ana@xn--ejemplo-b0a.example.org", "ok"), ("ana@", None, "invalid"),
     ("a..b@example.com", None, "invalid"), ("ana@example.com\r\nBcc: x@example.org", None, "invalid"),
     ("ana@localhost", None, "invalid"), ("", None, "missing"), (None, None, "missing")],
)  # fmt: skip
def test_an_address_is_normalised_and_judged(written: str | None, address: str | None, quality: str) -> None:
    assert email(written) == (address, quality)


@given(st.text(max_size=300))
def test_a_normalised_address_normalises_to_itself(written: str) -> None:
    address, quality = email(written)
    assert address is None or email(address) == (address, quality)


@pytest.mark.parametrize(
    ("address", "folded"),
    [("a.n.a+shop@gmail.com", "ana@gmail.com"), ("ana@googlemail.com", "ana@gmail.com"),
     ("a.na+x@example.com", "a.na@example.com"), ("+x@example.com", "+x@example.com")],
)  # fmt: skip
def test_identity_ignores_tags_and_gmail_dots_only(address: str, folded: str) -> None:
    assert fold_email(address) == folded
    assert fold_email(folded) == folded


@pytest.mark.parametrize(
    ("written", "region", "e164", "quality"),
    [("600 000 012", "ES", "+34600000012", "ok"), ("+34 600-000-012", None, "+34600000012", "ok"),
     ("202-555-0123", "US", "+12025550123", "ok"), ("07700 900123", "GB", "+447700900123", "implausible"),
     ("666 666 666", "ES", "+34666666666", "implausible"), ("600 000 012", None, None, "invalid"),
     ("call me", "ES", None, "invalid"), ("12", "ES", None, "invalid"), (None, "ES", None, "missing")],
)  # fmt: skip
def test_a_number_becomes_e164_and_is_judged(
    written: str | None, region: str | None, e164: str | None, quality: str
) -> None:
    assert phone(written, region) == (e164, quality)


@given(st.text(max_size=80), st.sampled_from([None, "ES", "US"]))
def test_no_text_breaks_the_reading_of_numbers(written: str, region: str | None) -> None:
    number, quality = phone(written, region)
    assert (number is None) == (quality in ("missing", "invalid"))


@pytest.mark.parametrize(
    ("country", "region"), [("España", "ES"), ("gb", "GB"), ("USA", "US"), ("Atlantis", "PT"), (None, "PT")]
)
def test_national_numbers_are_read_in_the_country_named_else_in_the_sources(country: str | None, region: str) -> None:
    assert region_of(country, "PT") == region
