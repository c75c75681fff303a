"""The rule book `sources`: who may send, with which key, and what their submissions are."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, model_validator

from services.intake.sources.presets import with_preset
from services.intake.sources.protocols import PROTOCOLS
from services.intake.sources.source import Rules, Source


def _over_preset(entry: Any) -> Any:
    return with_preset(entry) if isinstance(entry, dict) else entry


def _known_protocol(source: Source) -> Source:
    if source.protocol not in PROTOCOLS:
        raise ValueError(f"no such protocol: {source.protocol}; the protocols are {', '.join(PROTOCOLS)}")
    return source


Entry = Annotated[Source, BeforeValidator(_over_preset), AfterValidator(_known_protocol)]


class SourceRules(Rules):
    """The whole book."""

    sources: dict[str, Entry]

    @model_validator(mode="before")
    @classmethod
    def _name_each(cls, book: Any) -> Any:
        """Each source with its name."""
        sources = book.get("sources") if isinstance(book, dict) else None
        if not isinstance(sources, dict):
            return book
        return {**book, "sources": {name: _named(name, entry) for name, entry in sources.items()}}

    @model_validator(mode="after")
    def _prefixes_differ(self) -> SourceRules:
        holders: dict[str, list[str]] = {}
        for name, source in self.sources.items():
            for key in source.keys:
                holders.setdefault(key.prefix, []).append(name)
        for prefix, names in holders.items():
            if len(names) > 1:
                who = " and ".join(names)
                raise ValueError(f"key prefix {prefix} stands twice, at {who}; make a new key for one of them")
        return self

    @cached_property
    def by_prefix(self) -> dict[str, tuple[str, Source]]:
        """Secret's SHA-256 and source by key prefix."""
        return {key.prefix: (key.sha256, source) for source in self.sources.values() for key in source.keys}


def _named(name: str, entry: Any) -> Any:
    return {**(entry or {}), "name": name} if isinstance(entry, dict | None) else entry


SOURCE_TOPIC = re.compile(r"sources\.([a-z][a-z0-9-]{0,62})\.v1")
"""Name of the topic that a source of kind `kafka` writes."""
