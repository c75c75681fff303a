"""What a source requires of each submission; an e-mail or telephone number that cannot be one is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from services.intake import normalise
from services.intake.arrival import Fault
from services.intake.sources.source import Source

_REACH = {"email": "e-mail", "phone": "phone"}
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def missing(values: Mapping[str, str], source: Source) -> Iterator[Fault]:
    """A fault for each requirement that nothing meets, naming what is there in its place and cannot be one."""
    for names in map(_choice, source.required):
        if not any(name in values and _can_be(name, values, source) for name in names):
            said = f"{' or '.join(names)} is required by this source"
            there = " and the ".join(_REACH[name] for name in names if name in values)
            yield Fault(names[0], "required", f"{said}; the {there} given cannot be one" if there else said)


@lru_cache(maxsize=1024)
def _choice(required: str) -> tuple[str, ...]:
    return tuple(required.split("|"))


def _can_be(name: str, values: Mapping[str, str], source: Source) -> bool:
    if name == "email":
        return normalise.email(values["email"])[0] is not None
    if name == "phone":
        return _can_be_phone(values["phone"], normalise.region_of(values.get("country"), source.region))
    return True


def _can_be_phone(written: str, region: str | None) -> bool:
    """Where no country is known, a national number is one by its digits: nobody is lost for a book without region."""
    if normalise.phone(written, region)[0] is not None:
        return True
    return region is None and _FEWEST_DIGITS <= sum(map(str.isdecimal, written)) <= _MOST_DIGITS
