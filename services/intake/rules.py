"""The rule book `sources`: who may send, with which key, and what their submissions are."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import Any

from pydantic import model_validator

from services.intake.sources.presets import with_preset
from services.intake.sources.protocols import PROTOCOLS
from services.intake.sources.source import Rules, Source


class SourceRules(Rules):
    """The whole book."""

    sources: dict[str, Source]

    @model_validator(mode="before")
    @classmethod
    def _name_each(cls, book: Any) -> Any:
        """Each source with its name, over what its preset says."""
        sources = book.get("sources") if isinstance(book, dict) else None
        if not isinstance(sources, dict):
            return book
        return {**book, "sources": {name: _named(name, entry) for name, entry in sources.items()}}

    @model_validator(mode="after")
    def _known_protocols(self) -> SourceRules:
        unknown = {source.protocol for source in self.sources.values()} - PROTOCOLS.keys()
        if unknown:
            said = f"no such protocol: {', '.join(sorted(unknown))}; the protocols are {', '.join(PROTOCOLS)}"
            raise ValueError(said)
        return self

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


def _named(name: str, entry: Any) -> Any:
    return {**with_preset(entry or {}), "name": name} if isinstance(entry, dict | None) else entry


SOURCE_TOPIC = re.compile(r"sources\.([a-z][a-z0-9-]{0,62})\.v1")
"""Name of the topic that a source of kind `kafka` writes."""
