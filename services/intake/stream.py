"""The engine worker for sources of kind `kafka`: `python -m services.intake.stream`."""

from __future__ import annotations

from services.intake.service import build
from services.intake.settings import IntakeSettings
from services.runtime.errors import SettingsInvalid
from services.runtime.main import run


def main() -> None:
    """Run until told to stop."""
    settings = IntakeSettings()
    if not settings.source_names():
        raise SettingsInvalid("CAUDAL_SOURCES names no source of kind kafka; without one there is nothing to read here")
    run(build(settings), settings, migrations=("services.runtime",))


if __name__ == "__main__":
    main()
