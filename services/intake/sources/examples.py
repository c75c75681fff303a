"""An example body of each preset, ours from the first letter to the last, as its product would send it.

A source whose senders choose their own names has one of its own, made from its description.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from services.intake.fields import canonical
from services.intake.sources.presets import presets
from services.intake.sources.source import Source

_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
}
_USUAL = "generic-json"
_SAMPLES: Mapping[str, str] = {
    "given_name": "Ana", "family_name": "Soto", "city": "Madrid", "postcode": "28001", "language": "es",
    "budget": "12000", "landing_page": "https://www.example.com/roofs", "referrer": "https://www.example.com/",
    "occurred_at": "2026-11-01T10:00:00Z", "consent": "yes", "is_test": "true",
}  # fmt: skip
_SELDOM = frozenset({"is_test", "consents"})  # nothing of either is due in an example


@dataclass(frozen=True, slots=True)
class Example:
    """A body. `text` is for people: a form has one line for each field there."""

    content_type: str
    body: bytes
    text: str

    @property
    def is_form(self) -> bool:
        """Whether each line of the text is one field of a form."""
        return self.content_type == _TYPES["form"]


@cache
def example_of(preset: str) -> Example | None:
    """The preset's example, where it has one."""
    name = presets()[preset].example
    if name is None:
        return None
    text = (files("services.intake.sources") / "presets" / "examples" / name).read_text("utf-8")
    kind = _TYPES[name.rpartition(".")[2]]
    return Example(kind, form_body(text) if kind == _TYPES["form"] else text.encode(), text)


def form_body(text: str) -> bytes:
    """A form as browsers encode it, from lines of `name=value`."""
    lines = (line.partition("=") for line in text.splitlines() if line)
    return urlencode([(name, value) for name, _, value in lines]).encode()


def example_for(source: Source) -> Example:
    """What this very source takes: its preset's example, or one of its own names where they are for it to say."""
    below = presets()[source.preset] if source.preset else None
    given = example_of(source.preset) if source.preset else None
    if given is not None and (below is None or not _has_own_names(source, below.source, given)):
        return given
    content = dict(_own(source))
    if given is not None and given.is_form:
        text = "\n".join(f"{path}={value}" for path, value in content.items())
        return Example(given.content_type, form_body(text), text)
    text = json.dumps(_nested(content), ensure_ascii=False, indent=2)
    return Example(_TYPES["json"], text.encode(), text)


def _has_own_names(source: Source, below: Mapping[str, Any], given: Example) -> bool:
    """Whether the source says more of its fields than its preset; a product has one shape, whatever is said of it."""
    own = source.required or source.allowed or source.fields != below.get("fields", {})
    return bool(own) and source.protocol == "plain" and not source.pairs and given.content_type != _TYPES["xml"]


def _own(source: Source) -> Iterator[tuple[str, str]]:
    """Path and value of each field: those that are required first, by contract no others than may be sent."""
    first = example_of(_USUAL)
    assert first is not None  # noqa: S101 - a preset of ours
    usual = {canonical(name) or name: value for name, value in json.loads(first.text).items()}
    names = [choice.partition("|")[0] for choice in source.required]
    names += source.allowed or (*source.fields.values(), *usual)
    if source.signature and source.signature.field:
        yield source.signature.field, "YOUR-SECRET"
    for name in dict.fromkeys(names):
        if (path := _path(name, source)) and name not in source.constants.keys() | _SELDOM:
            yield path, usual.get(name) or _SAMPLES.get(name, "example")


def _path(name: str, source: Source) -> str | None:
    """Where the source reads this field of ours, or an answer; None where its name means something else there."""
    mapped = next((path for path, ours in source.fields.items() if ours == name), None)
    return mapped or (name if name not in source.fields else None)


def _nested(content: Mapping[str, str]) -> dict[str, Any]:
    """Fields by dotted path as the object that holds them; flat what lies below a path that is a field itself."""
    found: dict[str, Any] = {}
    for path, value in content.items():
        below = any(path.startswith(f"{other}.") for other in content)
        place, (*outer, last) = found, [path] if below else path.split(".")
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = value
    return {name: _with_lists(value) for name, value in found.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(one) for name, one in value.items()}
    return list(inner.values()) if list(inner) == [str(n) for n in range(len(inner))] else inner
