"""The console's words in English and Spanish, and figures as each writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.analytics.console.reasons import in_spanish
from services.analytics.reports import render

LANGUAGES = ("en", "es")
POINTS = MappingProxyType({"en": {}, "es": str.maketrans(",.", ".,")})

_TABLE = Path(__file__).with_name("words.txt").read_text(encoding="utf-8")
"""A line a key: the key, English, Spanish."""


def _words(column: int) -> Mapping[str, str]:
    lines = (line.split(" | ") for line in _TABLE.strip().splitlines())
    return MappingProxyType({parts[0]: parts[column] for parts in lines})


WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType({name: _words(i + 1) for i, name in enumerate(LANGUAGES)})


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language: `t(key)` gives its words, a key without words stands for itself."""

    lang: str

    def t(self, key: str, **values: object) -> str:
        """Words for a key, with their blanks filled."""
        return WORDS[self.lang].get(key, key).format(**values) if values else WORDS[self.lang].get(key, key)

    def said(self, value: object) -> str:
        """A value of an event in words, where it is one of those that the services write; else as it is."""
        words, text = WORDS[self.lang], str(value)
        return words.get(f"said_{text}") or (words.get(text, text) if "." in text else text)

    def number(self, value: float, digits: int = 0) -> str:
        """A figure with separators of thousands and so many decimals."""
        return render.figure(value, digits).translate(POINTS[self.lang])

    def reason(self, code: str, text: str) -> str:
        """Why a service decided so, in this language where its sentence is known, else as the service wrote it."""
        return (in_spanish(code, text) if self.lang == "es" else None) or text or code

    def duration(self, ms: float | None) -> str:
        """Milliseconds in a unit that suits them; a dash for unknown."""
        return "–" if ms is None else render.duration(ms, self.number)

    def cell(self, name: str, value: Any) -> str:
        """One value of a report."""
        return render.text(name, value, self.number)


def tongue(asked: str | None) -> Tongue:
    """The language asked for, else English."""
    return Tongue(asked if asked in LANGUAGES else LANGUAGES[0])
