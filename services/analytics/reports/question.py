"""What a report is asked: which days, which part of the leads, broken down by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta

DIMENSIONS = ("source", "owner", "campaign", "warmth", "origin_type")
DEFAULT_DAYS = 30


class BadQuestion(ValueError):
    """The question cannot be answered; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Question:
    """UTC days from `since` to before `until`; filters that are None let everything pass."""

    since: date
    until: date
    by: tuple[str, ...] = ("source",)
    source: str | None = None
    owner: str | None = None
    campaign: str | None = None
    warmth: str | None = None
    origin_type: str | None = None

    def parameters(self) -> dict[str, object]:
        """Values for the queries: the fields, and one flag for each possible dimension."""
        fields = {name: value for name, value in asdict(self).items() if name != "by"}
        return fields | {f"by_{name}": name in self.by for name in DIMENSIONS}


def question(words: Mapping[str, str], today: date) -> Question:
    """Read a question as the command line and the HTTP API put it; without days, the last 30 including today.

    Raises `BadQuestion`.
    """
    unknown = sorted(words.keys() - {"since", "until", "by", "format", "lang", *DIMENSIONS})
    if unknown:
        raise BadQuestion(f"unknown filter {unknown[0]!r}; there are since, until, by, {', '.join(DIMENSIONS)}")
    until = _day("until", words["until"]) if words.get("until") else today + timedelta(days=1)
    since = _day("since", words["since"]) if words.get("since") else until - timedelta(days=DEFAULT_DAYS)
    if since >= until:
        raise BadQuestion(f"since {since} is not before until {until}; until is the first day left out")
    by = tuple(filter(None, words.get("by", "source").split(",")))
    if not by or not set(by) <= set(DIMENSIONS):
        raise BadQuestion(f"by={words.get('by')!r}: name one or more of {', '.join(DIMENSIONS)}, comma separated")
    return Question(since, until, by, **{name: words[name] for name in DIMENSIONS if words.get(name)})


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadQuestion(f"{name}={text!r} is not a day; write it as 2026-03-31") from None
