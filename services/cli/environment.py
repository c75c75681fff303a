"""What the environment says, looked at as a whole before a command does anything with a part of it."""

from __future__ import annotations

from collections import defaultdict

from deploy.embedded.ports import refusal
from deploy.embedded.settings import EmbeddedSettings
from services.analytics.settings import AnalyticsSettings
from services.cli.configured import SHORTEST_SECRET, refused, refused_secret
from services.cli.ports import PortSettings
from services.intake.settings import IntakeSettings
from services.nurture.settings import NurtureSettings
from services.qualify.settings import QualifySettings
from services.router.settings import RouterSettings
from services.runtime.errors import SettingsInvalid

SERVICES = (IntakeSettings, QualifySettings, RouterSettings, NurtureSettings, AnalyticsSettings)
# What this command settles itself and gives to the services that it starts.
SETTLED = {"secret": "-" * SHORTEST_SECRET, "intake_port": 1, "console_port": 1, "smtp_port": 1}


def wrong_settings() -> list[str]:
    """One sentence for each setting that cannot be used, whoever would read it."""
    wrong = list(dict.fromkeys([*refused(EmbeddedSettings, {}), *refused(PortSettings, {}), *refused_secret()]))
    for settings in SERVICES:
        wrong += [sentence for sentence in refused(settings, SETTLED) if sentence not in wrong]
    return wrong


def check_environment() -> None:
    """SettingsInvalid with one sentence for each setting that cannot be used."""
    if wrong := wrong_settings():
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
