"""What the environment says, looked at as a whole before a command does anything with a part of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from deploy.embedded.ports import refusal
from deploy.embedded.settings import EmbeddedSettings
from services.analytics.settings import AnalyticsSettings
from services.cli.ports import PortSettings
from services.intake.settings import IntakeSettings
from services.nurture.settings import NurtureSettings
from services.qualify.settings import QualifySettings
from services.router.settings import RouterSettings
from services.runtime.errors import SettingsInvalid

SERVICES = (IntakeSettings, QualifySettings, RouterSettings, NurtureSettings, AnalyticsSettings)
SHORTEST_SECRET = 32
# What this command settles itself and gives to the services that it starts.
SETTLED = {"secret": "-" * SHORTEST_SECRET, "intake_port": 1, "console_port": 1, "smtp_port": 1}
HIDDEN = ("secret", "postgres", "smtp_password")


def check_environment() -> None:
    """SettingsInvalid with one sentence for each setting that cannot be used."""
    wrong = list(dict.fromkeys([*_refused(EmbeddedSettings, {}), *_refused(PortSettings, {}), *_secret()]))
    for settings in SERVICES:
        wrong += [sentence for sentence in _refused(settings, SETTLED) if sentence not in wrong]
    if wrong:
        raise SettingsInvalid("\n".join(wrong))


def check_listening(shared: bool = True) -> None:
    """SettingsInvalid where what is about to listen cannot: no such address, or one port for two.

    `shared`: several workers run here, which cannot all have the health port.
    """
    intake, console = IntakeSettings.model_validate(SETTLED), AnalyticsSettings.model_validate(SETTLED)
    for name, host in {"INTAKE": intake.intake_host, "CONSOLE": console.console_host}.items():
        if error := refusal(0, host):
            raise SettingsInvalid(
                f"CAUDAL_{name}_HOST={host} is no address of this machine ({error.strerror}): "
                "set 127.0.0.1, 0.0.0.0 or one that it has."
            )
    if shared and intake.health_port:
        raise SettingsInvalid(
            f"CAUDAL_HEALTH_PORT={intake.health_port} is for one worker alone (`caudal run SERVICE`): unset it, "
            "then each worker finds a port of its own."
        )
    _check_distinct()


def _check_distinct() -> None:
    users: defaultdict[int, list[str]] = defaultdict(list)
    for settings in (EmbeddedSettings(), PortSettings()):
        for field in type(settings).model_fields:
            if field.endswith("_port") and (port := getattr(settings, field)):
                users[port].append(f"CAUDAL_{field.upper()}")
    for port, names in users.items():
        if len(names) > 1:
            raise SettingsInvalid(f"{' and '.join(names)} are both {port}: give each a port of its own.")


def _secret() -> Iterator[str]:
    length = len(os.environ.get("CAUDAL_SECRET", ""))
    if 0 < length < SHORTEST_SECRET:
        yield (
            f"CAUDAL_SECRET has {length} characters: set {SHORTEST_SECRET} or more random ones, or unset it and "
            "`caudal up` makes one."
        )


def _refused(settings: type[BaseSettings], settled: dict[str, object]) -> Iterator[str]:
    try:
        settings.model_validate(settled)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            yield _sentence(settings, one)


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
