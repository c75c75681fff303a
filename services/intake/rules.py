"""The rule book `sources`: who may send, with which key, and what their submissions are."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.intake.fields import FIELDS

Accepts = Literal["leads", "activities", "consents", "outcomes"]


class Rules(BaseModel):
    """A part of the book: frozen, and strict about names, so that a typing error is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceKey(Rules):
    """One key of a source: its public prefix, and the SHA-256 of its secret in hex."""

    prefix: str = Field(pattern=r"^[a-z][a-z0-9]{7}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Source(Rules):
    """One place that enquiries come from."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    kind: Literal["http", "kafka"] = "http"
    keys: tuple[SourceKey, ...] = Field(default=(), max_length=2)
    accepts: tuple[Accepts, ...] = ("leads", "activities", "consents")
    origin_type: str = "net"
    channel: str | None = None
    campaign: str | None = None
    region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    product: str | None = None
    id_field: str | None = None
    required: tuple[str, ...] = ()
    fields: dict[str, str] = Field(default_factory=dict)
    destination: str | None = None
    consent_text: str | None = None
    test_field: str | None = None

    @field_validator("required")
    @classmethod
    def _known_fields(cls, required: tuple[str, ...]) -> tuple[str, ...]:
        unknown = {name for choice in required for name in choice.split("|")} - FIELDS.keys()
        if unknown:
            raise ValueError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(FIELDS)}")
        return required

    @field_validator("fields")
    @classmethod
    def _known_targets(cls, fields: dict[str, str]) -> dict[str, str]:
        unknown = set(fields.values()) - FIELDS.keys()
        if unknown:
            raise ValueError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(FIELDS)}")
        return fields

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Source:
        if self.kind == "kafka" and self.keys:
            raise ValueError("a source of kind kafka has no keys: the broker knows who may write its topic")
        if "outcomes" in self.accepts and not self.destination:
            raise ValueError("a source that reports outcomes needs `destination`: whose outcomes they are")
        return self


class SourceRules(Rules):
    """The whole book."""

    sources: dict[str, Source]

    @model_validator(mode="before")
    @classmethod
    def _name_each(cls, book: Any) -> Any:
        sources = book.get("sources") if isinstance(book, dict) else None
        if not isinstance(sources, dict):
            return book
        named = {n: {**(s or {}), "name": n} if isinstance(s, dict | None) else s for n, s in sources.items()}
        return {**book, "sources": named}

    @model_validator(mode="after")
    def _prefixes_differ(self) -> SourceRules:
        count = Counter(key.prefix for source in self.sources.values() for key in source.keys)
        twice = [prefix for prefix, n in count.items() if n > 1]
        if twice:
            raise ValueError(f"key prefix {', '.join(twice)} stands twice; make a new key for one of them")
        return self

    @cached_property
    def by_prefix(self) -> dict[str, tuple[str, Source]]:
        """Secret's SHA-256 and source by key prefix."""
        return {key.prefix: (key.sha256, source) for source in self.sources.values() for key in source.keys}


SOURCE_TOPIC = re.compile(r"sources\.([a-z][a-z0-9-]{0,62})\.v1")
"""Name of the topic that a source of kind `kafka` writes."""
