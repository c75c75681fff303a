"""What senders write at any length costs no memory that stays, and no work beyond what can be a value."""

import tracemalloc
from collections.abc import Callable

import idna
import pytest

from services.intake import normalise
from services.intake.fields import folded
from services.intake.normalise import email, phone
from services.intake.quality import name_quality
from services.intake.sources.mapping import mapped
from services.intake.sources.source import Source


@pytest.mark.parametrize("cached", [folded, lambda text: phone(text, "ES"), lambda text: phone("tel:" + text, None)])
def test_no_cache_keeps_long_texts(cached: Callable[[str], object]) -> None:
    tracemalloc.start()
    try:
        for n in range(20):
            cached(f"{n} " + "9" * 200_000)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 200_000


def test_a_long_name_is_folded_by_its_first_letters() -> None:
    assert folded("É" * 300) == "e" * 100


def test_only_what_can_be_an_address_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def encode(domain: str, **options: bool) -> bytes:
        looked.append(len(domain))
        return encoded(domain, **options)

    encoded = idna.encode
    monkeypatch.setattr(normalise.idna, "encode", encode)
    long = "ana@" + "é." * 100_000 + "example"
    assert email(long) == (None, "invalid")
    source = Source(name="web", kind="http", email_by_shape=True)
    assert "email" not in mapped({"a": long}, source)
    assert mapped({"a": long, "b": "ana@correo-é.example"}, source)["email"] == "ana@correo-é.example"
    assert email(f" mailto:ana@example.com {' ' * 1000}") == ("ana@example.com", "ok")
    assert max(looked) <= 320


def test_a_name_of_any_length_is_judged_by_its_start() -> None:
    assert name_quality("x" * 100_000) == "implausible"
