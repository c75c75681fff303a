"""The router's command: build the settings, run."""

from __future__ import annotations

from services.router.service import build
from services.router.settings import RouterSettings
from services.runtime.main import run


def main() -> None:
    """Run the router until it is told to stop."""
    settings = RouterSettings()
    run(build(settings), settings, migrations=("services.runtime", "services.router"))


if __name__ == "__main__":
    main()
