"""The rule book `nurture`: who is written to, what, when, and when it stops."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.events.outcomes import OUTCOMES

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([smhd])", value) if isinstance(value, str) else None
    if not found:
        raise ValueError("write a whole number and s, m, h or d, such as 90s, 1m, 4h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _clock_time(value: Any) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError('write the time in quotes, such as "20:00"; YAML reads it as a number otherwise')
    return time.fromisoformat(value)


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA list, such as Europe/Madrid") from None


def _outcome(value: Any) -> Any:
    if value not in OUTCOMES:
        raise ValueError(f"not an outcome; choose from {', '.join(OUTCOMES)}")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Zone = Annotated[str, BeforeValidator(_zone)]
Outcome = Annotated[str, BeforeValidator(_outcome)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_MAILBOX = r"^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
Mailbox = Annotated[str, StringConstraints(max_length=100, pattern=_MAILBOX)]
WebPage = Annotated[str, StringConstraints(max_length=300, pattern=r"^https://[^\s<>\"']+$")]


class Part(BaseModel):
    """A piece of the book: frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Sender(Part):
    """In whose name mails go out. Laws ask for the postal address, so nothing is sent without one."""

    company: Line
    name: Line
    address: Mailbox
    reply_to: Mailbox
    unsubscribe: Mailbox
    list_name: Line
    postal_address: Line
    website: WebPage


class Audience(Part):
    """All conditions must hold; one that is left out holds always."""

    warmth: tuple[str, ...] | None = None
    score_below: float | None = None
    origin_types: tuple[str, ...] | None = None
    product_lines: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


class Stop(Part):
    """What ends an enrolment beside consent: an outcome that a CRM reported, or the warmth that the lead reached."""

    outcomes: tuple[Outcome, ...] = ()
    warmth: tuple[str, ...] = ()


class Mail(Part):
    """One step: how long after the enrolment or the step before, which template, which subject by language."""

    after: Duration
    template: Name
    subject: dict[str, Line] = Field(min_length=1)


class Sequence(Part):
    """A drip programme by e-mail."""

    name: Name
    purpose: Name = "marketing"
    needs_consent: bool = True
    audience: Audience
    stop: Stop
    steps: tuple[Mail, ...] = Field(min_length=1)


class QuietHours(Part):
    """Hours of the recipient's own day without mail. `start` equal to `end`: no such hours."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    default_zone: Zone
    zones: dict[str, Zone] = Field(default_factory=dict)


class Cap(Part):
    """At most so many mails to one address in so many days, over all leads and sequences."""

    touches: int = Field(ge=1)
    days: int = Field(ge=1, le=365)


class NurtureRules(Part):
    """The whole book. A lead runs through a sequence once, and through one at a time: the first that fits."""

    default_language: str
    sender: Sender
    sequences: tuple[Sequence, ...]
    quiet_hours: QuietHours
    cap: Cap
    retry: tuple[Duration, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> NurtureRules:
        names = [sequence.name for sequence in self.sequences]
        if len(names) != len(set(names)):
            raise ValueError("two sequences have one name; give each its own")
        for sequence in self.sequences:
            for step in sequence.steps:
                if self.default_language not in step.subject:
                    raise ValueError(f"{sequence.name}/{step.template}: add a subject in {self.default_language}")
        return self

    def sequence(self, name: str) -> Sequence | None:
        """The sequence of that name, or None when the book has it no more."""
        return next((sequence for sequence in self.sequences if sequence.name == name), None)
