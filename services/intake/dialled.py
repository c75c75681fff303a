"""Telephone numbers of digits and plain punctuation, read without the library's parser.

phonenumbers' parser looks for letters, extensions and second numbers, which takes two thirds of reading a number. What
has none of them, no international or national prefix and no leading zero is its digits; a test holds this to the
library, and all else is the library's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber

_PLAIN = re.compile(r"\+?[0-9 ().-]+")
_PUNCTUATION = str.maketrans("", "", "+ ().-")
_SHORTEST, _LONGEST = 5, 15  # digits


def dialled(written: str, region: str | None) -> PhoneNumber:
    """The number as the library would read it. Raises `NumberParseException`."""
    return _plain(written, region) or phonenumbers.parse(written, region)


def _plain(written: str, region: str | None) -> PhoneNumber | None:
    if not _PLAIN.fullmatch(written):
        return None
    digits = written.translate(_PUNCTUATION)
    if not _SHORTEST <= len(digits) <= _LONGEST or digits[0] == "0":
        return None
    if written[0] == "+":
        code = _code_in(digits[:3])
        digits, region = digits[len(code) :], None
    else:
        code = _code_of(region)
    if not code or len(digits) < _SHORTEST or _prefixes(code, region).match(digits):
        return None
    return PhoneNumber(country_code=int(code), national_number=int(digits))


@lru_cache(maxsize=1000)
def _code_in(digits: str) -> str:
    return next((digits[:n] for n in (1, 2, 3) if int(digits[:n]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), "")


@lru_cache(maxsize=512)
def _code_of(region: str | None) -> str:
    code = phonenumbers.country_code_for_region(region) if region else 0
    return str(code) if code else ""


@lru_cache(maxsize=512)
def _prefixes(code: str, region: str | None) -> re.Pattern[str]:
    """What the digits may begin with that is not of the number: after a country's code, or dialled in a region."""
    main = region or phonenumbers.region_code_for_country_code(int(code))
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(int(code), main)
    dialled_first = (metadata.international_prefix, code) if region else ()
    prefixes = filter(None, ("0", metadata.national_prefix_for_parsing, *dialled_first))
    return re.compile("|".join(f"(?:{prefix})" for prefix in prefixes))
