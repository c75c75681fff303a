"""What a source requires of each submission; an e-mail or telephone number that cannot be one is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from schemas.events.leads import Quality
from services.intake.arrival import Fault

_REACH = {"email": "e-mail", "phone": "phone"}
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


@dataclass(slots=True)  # not frozen: built for every item, and a frozen one costs three times as much
class Reach:
    """E-mail and phone as normalised, each None where it cannot be one, with its quality; the region of the phone."""

    email: tuple[str | None, Quality]
    phone: tuple[str | None, Quality]
    region: str | None


def missing(values: Mapping[str, str], required: tuple[str, ...], reach: Reach) -> Iterator[Fault]:
    """A fault for each requirement that nothing meets, naming what is there in its place and cannot be one."""
    for names in map(_choice, required):
        if not any(name in values and _can_be(name, values, reach) for name in names):
            said = f"{' or '.join(names)} is required by this source"
            there = " and the ".join(_REACH[name] for name in names if name in values)
            yield Fault(names[0], "required", f"{said}; the {there} given cannot be one" if there else said)


@lru_cache(maxsize=1024)
def _choice(required: str) -> tuple[str, ...]:
    return tuple(required.split("|"))


def _can_be(name: str, values: Mapping[str, str], reach: Reach) -> bool:
    """Where no country is known, a national number is one by its digits: nobody is lost for a book without region."""
    if name == "email":
        return reach.email[0] is not None
    if name == "phone" and reach.phone[0] is None:
        return reach.region is None and _FEWEST_DIGITS <= sum(map(str.isdecimal, values["phone"])) <= _MOST_DIGITS
    return True
