"""Settings as a command reads them: what it uses must be right, and what is wrong is told in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from services.runtime.errors import SettingsInvalid

SHORTEST_SECRET = 32
HIDDEN = ("secret", "postgres", "smtp_password")
Settings = TypeVar("Settings", bound=BaseSettings)


def configured(kind: type[Settings], *used: str) -> Settings:
    """These settings, of which `used` are right: SettingsInvalid if not. Others that are wrong have their defaults."""
    try:
        return kind()
    except ValidationError as error:
        wrong = {str(one["loc"][0]): one for one in error.errors(include_url=False) if one["loc"]}
    if said := [_sentence(kind, one) for field, one in wrong.items() if field in used]:
        raise SettingsInvalid("\n".join(said))
    return kind.model_validate({field: kind.model_fields[field].default for field in wrong})


def refused(kind: type[BaseSettings], settled: dict[str, object]) -> Iterator[str]:
    """One sentence for each setting that cannot be used; those in `settled` are not looked at."""
    try:
        kind.model_validate(settled)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            yield _sentence(kind, one)


def refused_secret() -> Iterator[str]:
    """A sentence if the installation's secret is too short."""
    length = len(os.environ.get("CAUDAL_SECRET", ""))
    if 0 < length < SHORTEST_SECRET:
        yield (
            f"CAUDAL_SECRET has {length} characters: set {SHORTEST_SECRET} or more random ones, or unset it and "
            "`caudal up` makes one."
        )


def _sentence(settings: type[BaseSettings], error: ErrorDetails) -> str:
    """What is wrong with which setting, and what it is for."""
    said = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not error["loc"]:
        return f"{said}."
    field = str(error["loc"][0])
    known = settings.model_fields[field]
    if error["type"] == "string_pattern_mismatch":
        said = "it is not of the form that is needed"
    example = f", for example {known.examples[0]}" if known.examples else ""
    value = "" if field in HIDDEN else f"={error['input']}"
    return f"CAUDAL_{field.upper()}{value} cannot be used: {said}{example} ({known.description})."
