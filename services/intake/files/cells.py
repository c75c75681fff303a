"""Cells of a list that need a person's eye: two addresses in one, a postcode that a spreadsheet took for a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from services.intake import normalise

_BETWEEN = {
    "email": re.compile(r"[\s;,/|]+(?:(?:o|y|or|and)\s+)?"),
    "phone": re.compile(r"\s*[;,/|\n]\s*|\s+(?:o|y|or|and)\s+"),
}
_LONGEST = 1000  # characters; more is no list of addresses
_FEWEST_DIGITS = 7  # fewer are an extension
_CUT_POSTCODE = re.compile(r"\d{4}")


def parted(content: dict[str, Any], columns: Mapping[str | None, str]) -> None:
    """Of two e-mails or telephone numbers in one cell the first counts; the others become `email 2`, `phone 2`."""
    for field, between in _BETWEEN.items():
        column = columns.get(field)
        written = content.get(column) if column else None
        if not column or not isinstance(written, str) or len(written) > _LONGEST:
            continue
        first, *others = between.split(written.strip())
        if others and all(_is_one(field, part) for part in (first, *others)):
            content[column] = first
            for n, other in enumerate(others, start=2):
                content.setdefault(f"{field} {n}", other)


def with_zero(content: dict[str, Any], columns: Mapping[str | None, str], region: str | None) -> None:
    """A Spanish postcode of four digits has lost its zero to a spreadsheet: `8001` is `08001`."""
    column, country = columns.get("postcode"), columns.get("country")
    written = content.get(column) if column else None
    named = content.get(country) if country else None
    if (
        column and isinstance(written, str) and _CUT_POSTCODE.fullmatch(written)
        and normalise.region_of(named if isinstance(named, str) else None, region) == "ES"
    ):  # fmt: skip
        content[column] = f"0{written}"


def _is_one(field: str, part: str) -> bool:
    if field == "email":
        return normalise.email(part)[0] is not None
    return sum(map(str.isdecimal, part)) >= _FEWEST_DIGITS
