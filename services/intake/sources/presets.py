"""Presets: what is known about a product that sends leads, as YAML under `presets/`, so that a source names only it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import Field

from services.intake.sources.source import Rules


class Preset(Rules):
    """One product. `verified`: its body was seen, or stands in its maker's documents; else it may differ.

    `how` tells a person how to point the product at its source, `how_es` and `title_es` in Spanish; `example` is a file
    under `examples/` with a body of our own; `source` is what the source's entry would say.
    """

    title: str
    title_es: str | None = None
    verified: bool
    how: str
    how_es: str | None = None
    example: str | None = None
    source: dict[str, Any] = Field(default_factory=dict)


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name."""
    folder = files("services.intake.sources") / "presets"
    found = sorted((f.name.removesuffix(".yaml"), f) for f in folder.iterdir() if f.name.endswith(".yaml"))
    return {name: Preset.model_validate(yaml.safe_load(file.read_text("utf-8"))) for name, file in found}


def with_preset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A source's entry over its preset's: what the entry says counts, name by name in `fields` and its like.

    Raises ValueError for a preset that does not exist.
    """
    name = entry.get("preset")
    if name is None:
        return dict(entry)
    if name not in presets():
        raise ValueError(f"no such preset: {name}; the presets are {', '.join(presets())}")
    below = presets()[name].source
    merged = {field: {**below[field], **value} for field, value in entry.items() if _both_map(below.get(field), value)}
    return {**below, **entry, **merged}


def _both_map(one: object, other: object) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)
