"""Conditions as data: what a rule may ask about an enquiry or a lead, compiled once into plain functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.events.leads import Contact, LeadReceived, LeadState, Origin

Test = Callable[[Any], bool]
QUESTIONS = ("is", "in", "contains", "at_least", "at_most")
TEXT_LIMIT = 2000
"""Characters of a field that `contains` looks at: a message may be a megabyte."""


class Condition(BaseModel):
    """One question about one field.

    Text is compared without regard to case. A field in which nothing stands answers no question but `is: absent`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    presence: Literal["present", "absent"] | None = Field(default=None, alias="is")
    one_of: tuple[str, ...] | None = Field(default=None, alias="in", min_length=1)
    contains: tuple[str, ...] | None = Field(default=None, min_length=1)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _asks_once(self) -> Self:
        asked = (self.presence, self.one_of, self.contains, self.at_least, self.at_most)
        if sum(answer is not None for answer in asked) != 1:
            raise ValueError(f"ask exactly one question of {self.field!r}: {', '.join(QUESTIONS)}")
        return self


def all_hold(conditions: Sequence[Condition]) -> Test:
    """The function that says whether every one of these conditions holds."""
    tests = [_compiled(condition) for condition in conditions]
    if len(tests) == 1:
        return tests[0]

    def together(subject: Any) -> bool:
        for test in tests:  # noqa: SIM110  a generator would cost more than the tests themselves
            if not test(subject):
                return False
        return True

    return together


def known_fields(model: type[LeadReceived] | type[LeadState]) -> Callable[[Sequence[Condition]], Sequence[Condition]]:
    """A validator that refuses conditions about fields that `model` does not have."""
    names = {*model.model_fields, "contact.email_domain"}
    names |= {f"contact.{name}" for name in Contact.model_fields} | {f"origin.{name}" for name in Origin.model_fields}

    def check(conditions: Sequence[Condition]) -> Sequence[Condition]:
        for condition in conditions:
            if condition.field not in names and not condition.field.startswith("answers."):
                known = ", ".join(sorted(names))
                raise ValueError(f"no field {condition.field!r}; known are answers.<question>, {known}")
        return conditions

    return check


def _reader(field: str) -> Callable[[Any], Any]:
    if field.startswith("answers."):
        question = field.removeprefix("answers.")
        return lambda subject: subject.answers.get(question)
    if field == "contact.email_domain":
        return lambda subject: (subject.contact.email or "").rpartition("@")[2]
    return attrgetter(field)


def _compiled(condition: Condition) -> Test:
    read = _reader(condition.field)
    if condition.presence is not None:
        return _presence(read, condition.presence == "present")
    if condition.one_of is not None:
        return _one_of(read, frozenset(text.casefold() for text in condition.one_of))
    if condition.contains is not None:
        return _contains(read, tuple(text.casefold() for text in condition.contains))
    return _between(read, condition.at_least, condition.at_most)


def _presence(read: Callable[[Any], Any], wanted: bool) -> Test:
    return lambda subject: (read(subject) not in (None, "")) is wanted


def _one_of(read: Callable[[Any], Any], texts: frozenset[str]) -> Test:
    return lambda subject: (value := read(subject)) is not None and str(value).casefold() in texts


def _contains(read: Callable[[Any], Any], words: tuple[str, ...]) -> Test:
    def test(subject: Any) -> bool:
        value = read(subject)
        if value is None:
            return False
        text = str(value)[:TEXT_LIMIT].casefold()
        for word in words:  # noqa: SIM110  a generator would cost more than the search
            if word in text:
                return True
        return False

    return test


def _between(read: Callable[[Any], Any], low: float | None, high: float | None) -> Test:
    def test(subject: Any) -> bool:
        number = _number(read(subject))
        return number is not None and (low is None or number >= low) and (high is None or number <= high)

    return test


def _number(value: Any) -> float | None:
    """The value as a number; answers come as text, and text that is no number answers no question about size."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
