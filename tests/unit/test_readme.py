"""The README says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic_settings import BaseSettings

from deploy.embedded.settings import EmbeddedSettings
from schemas.topics import all_topics, source_topic
from services.analytics.settings import AnalyticsSettings
from services.cli.__main__ import COMMANDS, GROUPS, command_line
from services.cli.ports import PortSettings
from services.intake.settings import IntakeSettings
from services.intake.sources.presets import presets
from services.nurture.settings import NurtureSettings
from services.qualify.settings import QualifySettings
from services.router.settings import RouterSettings

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
CLASSES: tuple[type[BaseSettings], ...] = (
    EmbeddedSettings, PortSettings, IntakeSettings, QualifySettings, RouterSettings, NurtureSettings, AnalyticsSettings,
)  # fmt: skip


def test_every_setting_stands_in_the_table_and_no_other() -> None:
    declared = {f"CAUDAL_{name.upper()}" for cls in CLASSES for name in cls.model_fields}
    listed = re.findall(r"^\| `(CAUDAL_\w+)` \|", README, flags=re.MULTILINE)
    assert sorted(listed) == sorted(declared)


def test_every_topic_stands_in_the_table() -> None:
    names = {t.name for t in all_topics(destinations=("<destination>",))} | {source_topic("<name>").name}
    listed = re.findall(r"^\| `([a-z.<>]+\.v1)` \|", README, flags=re.MULTILINE)
    assert set(listed) == names


def test_every_preset_stands_among_the_channels_with_tests_that_exist() -> None:
    table = README.partition("## Channels")[2].partition("\n## ")[0]
    assert [name for name in presets() if f"`{name}`" not in table] == []
    tests = {file.name for file in Path(__file__).parents[1].rglob("test_*.py")}
    assert set(re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", table)) <= tests


def test_every_command_in_the_readme_exists() -> None:
    app = command_line(())
    commands = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert commands == {*COMMANDS, *GROUPS}
    used = set(re.findall(r"`?caudal ([a-z]+)", README)) - {"is", "up"}
    assert used <= commands, used - commands
