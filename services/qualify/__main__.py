"""Run qualify."""

from __future__ import annotations

from services.qualify.service import build
from services.qualify.settings import QualifySettings
from services.runtime.main import run


def main() -> None:
    """Build the settings from the environment and run until told to stop."""
    settings = QualifySettings()
    run(build(settings), settings, migrations=("services.runtime", "services.qualify"))


if __name__ == "__main__":
    main()
