"""Dates as lists write them: `14/11/2026 10:30`, day or month first."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WRITTEN = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")


def day_first(sample: Iterable[str], region: str | None) -> bool:
    """Whether the day stands first, as a date of the sample shows by a number over 12; else by the source's region."""
    for written in sample:
        if found := _WRITTEN.fullmatch(written.strip()):
            first, second = int(found[1]), int(found[2])
            if (first > 12) != (second > 12):
                return first > 12
    return region != "US"


def iso(written: str, days_first: bool) -> str:
    """The date in ISO 8601; what is no such date stays as it is."""
    found = _WRITTEN.fullmatch(written.strip())
    if not found:
        return written
    first, second, year = int(found[1]), int(found[2]), int(found[3])
    day, month = (first, second) if (days_first and second <= 12) or first > 12 else (second, first)
    date = f"{year + 2000 if year < 100 else year}-{month:02}-{day:02}"
    return date if found[4] is None else f"{date}T{int(found[4]):02}:{found[5]}:{found[6] or '00'}"
