"""Intake's engine worker, for sources of kind `kafka` and for hydrate: `python -m services.intake.stream`."""

from __future__ import annotations

from services.intake.service import build
from services.intake.settings import IntakeSettings
from services.runtime.main import run


def main() -> None:
    """Run until told to stop."""
    settings = IntakeSettings()
    run(build(settings), settings, migrations=("services.runtime", "services.intake"))


if __name__ == "__main__":
    main()
