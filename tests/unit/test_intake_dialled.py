"""Plain telephone numbers are read as the library reads them, in every region."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.dialled import dialled

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
regions = st.none() | st.sampled_from(REGIONS)


def read(written: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return dialled(written, region)
    except phonenumbers.NumberParseException:
        return None


def by_library(written: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None


@given(st.from_regex(r"\A\+?[0-9 ().-]{1,18}\Z"), regions)
def test_digits_and_punctuation_mean_what_the_library_says(written: str, region: str | None) -> None:
    assert read(written, region) == by_library(written, region)


@pytest.mark.parametrize("prefix", ["", "+", "00", "0", "011 ", "8", "1", "+0"])
def test_an_example_of_every_region_means_what_the_library_says(prefix: str) -> None:
    for region in REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        national = phonenumbers.national_significant_number(example)
        for number in (national, f"{example.country_code}{national}", f"({national[:3]}) {national[3:]}"):
            for where in (region, "ES", None):
                assert read(prefix + number, where) == by_library(prefix + number, where), (prefix + number, where)


@pytest.mark.parametrize("written", ["600 000 012 ext. 7", "+34-600/000012", "phone 600000012", "٦٠٠٠٠٠٠١٢", "+34", ""])
def test_all_else_is_the_librarys(written: str) -> None:
    assert read(written, "ES") == by_library(written, "ES")
