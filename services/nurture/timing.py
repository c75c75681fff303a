"""When a mail may go out: quiet hours at the recipient's place, the cap per address, waits between attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.nurture.rules import Cap, QuietHours


def quiet_until(quiet: QuietHours, country: str | None, now: datetime) -> datetime | None:
    """End of the quiet hours in which `now` lies where the recipient lives (UTC), or None outside of them."""
    local = now.astimezone(ZoneInfo(quiet.zones.get(country or "", quiet.default_zone)))
    clock = local.time()
    overnight = quiet.start > quiet.end
    late, early = clock >= quiet.start, clock < quiet.end
    if not (late or early if overnight else late and early):
        return None
    day = local.date() + timedelta(days=1 if overnight and late else 0)
    # fold: on the night when clocks go back, an hour comes twice and the end lies in the same one as now
    return datetime.combine(day, quiet.end, local.tzinfo).replace(fold=local.fold).astimezone(UTC)


def capped_until(touches: Sequence[datetime], cap: Cap, now: datetime) -> datetime | None:
    """Moment from which one more mail to the address keeps the cap, or None when it does so now."""
    span = timedelta(days=cap.days)
    recent = sorted(at for at in touches if at > now - span)
    return recent[-cap.touches] + span if len(recent) >= cap.touches else None


def wait_after(refusals: int, retry: Sequence[timedelta]) -> timedelta | None:
    """Wait before the next attempt after so many refusals in a row (1 is the first); None: give up."""
    return retry[refusals - 1] if refusals <= len(retry) else None
