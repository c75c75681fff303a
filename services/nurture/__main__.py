"""Run nurture: `python -m services.nurture`."""

from __future__ import annotations

from services.nurture.service import build
from services.nurture.settings import NurtureSettings
from services.runtime.main import run


def main() -> None:
    """Read the settings from the environment and work until stopped."""
    settings = NurtureSettings()
    run(build(settings), settings, migrations=("services.runtime", "services.nurture"))


if __name__ == "__main__":
    main()
