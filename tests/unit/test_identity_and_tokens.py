import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import address_hash, identity_hash
from schemas.tokens import sign, verify

SECRET = "an-installation-secret-of-the-tests"
ADDRESS = address_hash(SECRET, "email", "ana@example.com")
WORDS = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_an_identity_is_the_hash_of_the_email_else_phone_else_submission() -> None:
    assert identity_hash(SECRET, "ana@example.com", "+34600000001", "s1") == ADDRESS
    assert identity_hash(SECRET, None, "+34600000001", "s1") == address_hash(SECRET, "phone", "+34600000001")
    assert identity_hash(SECRET, None, None, "s1") != identity_hash(SECRET, None, None, "s2")


def test_hashes_depend_on_secret_kind_and_value_and_show_none_of_them() -> None:
    hashes = {
        ADDRESS, address_hash("another secret", "email", "ana@example.com"),
        address_hash(SECRET, "phone", "ana@example.com"), address_hash(SECRET, "email", "ana@example.org"),
    }  # fmt: skip
    assert len(hashes) == 4
    assert all(len(h) == 64 and "example" not in h for h in hashes)


@given(WORDS, WORDS)
def test_a_token_says_what_was_signed(channel: str, purpose: str) -> None:
    token = sign(SECRET, ADDRESS, channel, purpose)
    assert verify(SECRET, token) == (ADDRESS, channel, purpose)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_in_which_any_character_was_changed_is_refused() -> None:
    token = sign(SECRET, ADDRESS, "email", "marketing")
    for i, character in enumerate(token[:-1]):
        assert verify(SECRET, token[:i] + ("A" if character != "A" else "B") + token[i + 1 :]) is None


@pytest.mark.parametrize(
    "token", ["", "a", "====", "ñ" * 40, "A" * 43, "A" * 86, "A" * 600, "\0", "%2e%2e", "A-_" * 50]
)
def test_anything_that_was_not_signed_is_refused(token: str) -> None:
    assert verify(SECRET, token) is None


def test_a_token_of_another_secret_is_refused() -> None:
    assert verify("another secret", sign(SECRET, ADDRESS, "email", "marketing")) is None


def test_an_empty_secret_signs_and_hashes_nothing() -> None:
    with pytest.raises(ValueError, match="CAUDAL_SECRET"):
        sign("", ADDRESS, "email", "marketing")
    with pytest.raises(ValueError, match="CAUDAL_SECRET"):
        address_hash("", "email", "ana@example.com")
    assert verify("", "A" * 100) is None
