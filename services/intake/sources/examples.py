"""An example body of each preset, ours from the first letter to the last, as its product would send it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlencode

from services.intake.sources.presets import presets

_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
}


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
