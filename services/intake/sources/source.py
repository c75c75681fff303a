"""One source as the rule book describes it: who it is, how it proves that, how its bodies are read, what it may do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.intake.fields import FIELDS

Accepts = Literal["leads", "activities", "consents", "outcomes", "results"]
Scheme = Literal[
    "body-field", "calendly", "hubspot", "linkedin", "mailgun", "meta", "standard-webhooks", "tiktok", "typeform",
]  # fmt: skip
Period = Literal["hour", "day", "total"]


class Rules(BaseModel):
    """A part of the book: frozen, and strict about names, so that a typing error is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceKey(Rules):
    """One key of a source: its public prefix, and the SHA-256 of its secret in hex."""

    prefix: str = Field(pattern=r"^[a-z][a-z0-9]{7}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Signature(Rules):
    """How this source signs. The secret itself never stands in the book: `caudal sources secret SOURCE` keeps it.

    `field` is the dotted path of the key in the body for `body-field`; `tolerance_s` how far a signed time may be off.
    """

    scheme: Scheme
    field: str | None = None
    tolerance_s: int = Field(default=300, ge=1, le=86_400)

    @model_validator(mode="after")
    def _field_where_due(self) -> Signature:
        if (self.scheme == "body-field") != (self.field is not None):
            raise ValueError("`field` belongs to the scheme body-field, and to no other")
        return self


class Titles(Rules):
    """Where the questions of a form stand: `{list: definition.fields, by: [id, ref], title: title}`."""

    list: str
    by: tuple[str, ...] = Field(min_length=1)
    title: str


class Pairs(Rules):
    """A list of objects that each hold one field: `{list: user_column_data, name: column_id, value: string_value}`.

    `name` and `value` are dotted paths, tried in order; `a+b` joins what stands at both. In `value`, `{type}` stands
    for what the object has under `type`, as Typeform names the place of an answer. `kinds` says which field of ours an
    object of that type is, `titles` where the words of the question stand that the object names by its id.
    """

    list: str
    name: tuple[str, ...] = Field(min_length=1)
    value: tuple[str, ...] = Field(min_length=1)
    kinds: dict[str, str] = Field(default_factory=dict)
    titles: Titles | None = None

    @field_validator("kinds")
    @classmethod
    def _known_targets(cls, kinds: dict[str, str]) -> dict[str, str]:
        _known(set(kinds.values()))
        return kinds


class ConsentAt(Rules):
    """Where a sender writes a consent: `{at: consent.communications, granted: value, text: text}`.

    `at` is an object or a list of them, empty for the item itself; `granted`, `refused`, `text` and `purpose_at` are
    paths in it. `refused` is an opt-out: ticked it says no, not ticked it says nothing. What stands at `purpose_at`
    counts over `purpose`, in our words where the source's `purposes` has one for it.
    """

    at: str = ""
    granted: str | None = None
    refused: str | None = None
    text: str | None = None
    purpose_at: str | None = None
    purpose: str = "marketing"
    channel: str = "email"

    @model_validator(mode="after")
    def _one_tick(self) -> ConsentAt:
        if (self.granted is None) == (self.refused is None):
            raise ValueError("a consent has `granted` or `refused`: where its tick stands")
        return self


class Cap(Rules):
    """At most so many leads in a period, counted in a time zone."""

    most: int = Field(ge=1)
    per: Period
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no such time zone: {zone}; write it like Europe/Madrid") from error
        return zone


class Rate(Rules):
    """Requests a second on average, and how many at once; in each process of intake, a batch is one request."""

    per_s: float = Field(gt=0, le=100_000)
    burst: int = Field(default=100, ge=1, le=1_000_000)


class Hydrate(Rules):
    """How the lead behind an id is read from the source's API; its token is the source's secret `token`."""

    api: Literal["meta", "linkedin", "hubspot"]
    url: str | None = None
    per_hour: int = Field(default=4800, ge=1)
    properties: tuple[str, ...] = ()


class Source(Rules):
    """One place that enquiries come from. Comments in `deploy/rules/sources.yaml` say what each field is for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["web-spain"])
    kind: Literal["http", "kafka", "file"] = "http"
    preset: str | None = None
    protocol: str = "plain"
    keys: tuple[SourceKey, ...] = Field(default=(), max_length=2, repr=False)
    signature: Signature | None = None
    accepts: tuple[Accepts, ...] = ("leads", "activities", "consents")
    rate: Rate | None = None
    caps: tuple[Cap, ...] = ()

    origin_type: str = "net"
    channel: str | None = None
    campaign: str | None = None
    region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$", examples=["ES"])
    product: str | None = None
    consent_text: str | None = None
    cost: Decimal | None = Field(default=None, ge=0, max_digits=12, decimal_places=4)
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$", examples=["EUR"])

    query: bool = False
    items: str | None = None
    shared: tuple[str, ...] = ()
    json_fields: tuple[str, ...] = ()
    underscores: bool = False
    lift: tuple[str, ...] = ()
    pairs: tuple[Pairs, ...] = ()
    consents: tuple[ConsentAt, ...] = ()
    purposes: dict[str, str] = Field(default_factory=dict)
    email_by_shape: bool = False
    fields: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, str] = Field(default_factory=dict)
    drop: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    id_field: str | None = None
    not_compared: tuple[str, ...] = ()
    test_field: str | None = None
    lead_events: tuple[str, ...] = ()

    destination: str | None = None
    redirect_field: str | None = None
    redirect_hosts: tuple[str, ...] = ()
    hydrate: Hydrate | None = None

    @field_validator("keys", mode="before")
    @classmethod
    def _as_printed(cls, keys: Any) -> Any:
        if not isinstance(keys, list | tuple) or not all(isinstance(key, dict | SourceKey) for key in keys):
            raise ValueError("keys are made by `caudal sources key`: put the line that it prints here")
        return keys

    @field_validator("required", "allowed")
    @classmethod
    def _known_fields(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _known({name for choice in names for name in choice.split("|")})
        return names

    @field_validator("fields")
    @classmethod
    def _known_targets(cls, fields: dict[str, str]) -> dict[str, str]:
        _known(set(fields.values()))
        return fields

    @field_validator("constants", "defaults")
    @classmethod
    def _known_names(cls, values: dict[str, str]) -> dict[str, str]:
        _known(set(values))
        return values

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Source:
        if self.kind != "http" and self.keys:
            raise ValueError(f"a source of kind {self.kind} has no keys: nothing of it comes by HTTP")
        if self.kind == "kafka" and (self.rate or self.caps):
            raise ValueError("`rate` and `caps` are for what can be told to come later: a topic cannot")
        if "outcomes" in self.accepts and not self.destination:
            raise ValueError("a source that reports outcomes needs `destination`: whose outcomes they are")
        if self.redirect_field and not self.redirect_hosts:
            raise ValueError("`redirect_field` needs `redirect_hosts`: where browsers may be sent")
        return self


def _known(names: set[str]) -> None:
    unknown = names - FIELDS.keys()
    if unknown:
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(FIELDS)}")
