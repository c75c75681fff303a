"""Which stretch of time a cap counts in, and which of several leads still find room. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as clock_time
from zoneinfo import ZoneInfo

from services.intake.sources.source import Cap


@dataclass(frozen=True, slots=True)
class Window:
    """A cap's present stretch: `key` names it for ever, `ends` (in the cap's zone) is None for a cap in all."""

    key: str
    most: int
    per: str
    ends: datetime | None

    @property
    def full(self) -> str:
        """What a sender is told who finds it full."""
        if self.ends is None:
            return f"this source may send {self.most} leads in all, and has"
        return f"this source may send {self.most} leads a {self.per}, and has; it may again at {self.ends.isoformat()}"


def window(cap: Cap, now: datetime) -> Window:
    """The stretch that holds `now`. Hours and days begin by the clock of the cap's zone, also where that is changed."""
    if cap.per == "total":
        return Window("total", cap.most, cap.per, None)
    zone = ZoneInfo(cap.zone)
    local = now.astimezone(zone)
    if cap.per == "hour":
        offset = timezone(local.utcoffset() or timedelta())  # clocks of Lord Howe change by half an hour
        begins = now.astimezone(offset).replace(minute=0, second=0, microsecond=0)
        ends = (begins + timedelta(hours=1)).astimezone(zone)
        return Window(f"hour {begins.isoformat()}", cap.most, cap.per, ends)
    midnight = datetime.combine(local.date() + timedelta(days=1), clock_time(), zone)
    ends = midnight.astimezone(UTC).astimezone(zone)  # where clocks skip midnight, the first moment after it
    return Window(f"day {local.date().isoformat()} {cap.zone}", cap.most, cap.per, ends)


def places(
    windows: Iterable[Window], used: Mapping[str, int], counted: Set[str], ids: Sequence[str]
) -> tuple[list[str], dict[str, Window]]:
    """Of these submissions, those that take a place now, and for each of the others the window that is full.

    The ones counted before are neither: they keep their place, whatever became of them. A lead takes a place in
    every window or in none.
    """
    left = {window.key: window.most - used.get(window.key, 0) for window in windows}
    by_key = {window.key: window for window in windows}
    taken: list[str] = []
    refused: dict[str, Window] = {}
    for one in dict.fromkeys(ids):
        if one in counted:
            continue
        full = [key for key, room in left.items() if room <= len(taken)]
        if full:
            refused[one] = max((by_key[key] for key in full), key=_opens)
        else:
            taken.append(one)
    return taken, refused


def _opens(window: Window) -> datetime:
    return window.ends or datetime.max.replace(tzinfo=UTC)
