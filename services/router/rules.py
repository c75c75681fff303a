"""The rule book `routing`: territories, pools, reps, deadlines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.events.event import Reason

Warmth = Literal["cold", "warm", "hot"]
WARMTHS: tuple[Warmth, ...] = ("cold", "warm", "hot")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    """`15m`, `4h`, `2d` or `90s` as a timedelta; anything else is left to pydantic."""
    match = re.fullmatch(r"(\d+)\s*([smhd])", value) if isinstance(value, str) else None
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
Words = tuple[Annotated[str, Field(min_length=1)], ...]


class Rules(BaseModel):
    """A part of the book: frozen, and strict about misspelt fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class When(Rules):
    """Which leads a territory covers: every attribute named must match one of its values; upper and lower case alike.

    `postcode` and `phone` (E.164) match from the start, the others whole.
    """

    country: Words = ()
    region: Words = ()
    postcode: Words = ()
    phone: Words = ()
    language: Words = ()
    product_line: Words = ()
    warmth: Words = ()
    origin_type: Words = ()
    channel: Words = ()
    source: Words = ()

    @cached_property
    def tests(self) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
        """Attribute, accepted values in folded case, whether the start is enough."""
        named = ((name, getattr(self, name)) for name in type(self).model_fields)
        return tuple(
            (name, tuple(value.casefold() for value in values), name in ("postcode", "phone"))
            for name, values in named
            if values
        )


class Territory(Rules):
    """One line of the territory table."""

    name: str
    pool: Name
    when: When

    @cached_property
    def reason(self) -> Reason:
        """What an event says of a lead that this line covers."""
        return Reason(code="territory", text=f"Territory: {self.name} (pool {self.pool})")


class Absence(Rules):
    """Days on which a rep takes no leads, both ends included; without `until`, until further notice."""

    since: date = Field(alias="from")
    until: date | None = None
    timezone: str = "UTC"
    reason: str = "absent"

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is no IANA time zone; write for example Europe/Madrid") from None
        return value

    def covers(self, now: datetime) -> bool:
        """Whether the local day of `now` is one of these days."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return self.since <= today and (self.until is None or today <= self.until)


class Rep(Rules):
    """One rep. `weight` is the share within a pool, `capacity` the most open leads at once."""

    id: Name
    name: str
    pools: tuple[Name, ...] = Field(min_length=1)
    destination: Name
    weight: int = Field(default=1, ge=1, le=100)
    capacity: int = Field(ge=1)
    product_lines: Words = ()
    minimum_warmth: Warmth = "cold"
    absences: tuple[Absence, ...] = ()


class FirstResponse(Rules):
    """How long a rep has to answer a new lead, by its warmth."""

    hot: Duration
    warm: Duration
    cold: Duration

    def within(self, warmth: str) -> timedelta:
        """Time to answer; a warmth that this book does not know counts as cold."""
        return {"hot": self.hot, "warm": self.warm}.get(warmth, self.cold)


class Routing(Rules):
    """The whole book. Territories are tried in order, the first match wins; no match and no default: parked."""

    pools: tuple[Name, ...] = Field(min_length=1)
    default_pool: Name | None = None
    territories: tuple[Territory, ...] = ()
    reps: tuple[Rep, ...]
    first_response: FirstResponse
    max_reassignments: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        used = {t.pool for t in self.territories} | {p for r in self.reps for p in r.pools} | {self.default_pool}
        if unknown := sorted(used - {*self.pools, None}):  # type: ignore[type-var]  # None is taken out here
            raise ValueError(f"pools {unknown} are used and not listed under `pools`; list them or mend the spelling")
        ids = [rep.id for rep in self.reps]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"rep ids {twice} appear twice; an id names one rep")
        return self

    @cached_property
    def uncovered(self) -> Reason:
        """What an event says of a lead that no territory covers."""
        if self.default_pool is None:
            return Reason(code="no_pool", text="No territory covers it, and there is no default pool")
        return Reason(code="default_pool", text=f"No territory covers it: default pool {self.default_pool}")

    @cached_property
    def members(self) -> Mapping[str, tuple[Rep, ...]]:
        """Reps by pool, in order of their ids."""
        ordered = sorted(self.reps, key=lambda rep: rep.id)
        return {pool: tuple(rep for rep in ordered if pool in rep.pools) for pool in self.pools}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Names of the reps by id."""
        return {rep.id: rep.name for rep in self.reps}

    def absent(self, now: datetime) -> frozenset[str]:
        """Ids of the reps that are away at `now`."""
        return frozenset(rep.id for rep in self.reps if any(absence.covers(now) for absence in rep.absences))
