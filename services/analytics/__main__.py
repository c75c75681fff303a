"""Run one worker of analytics."""

from services.analytics.service import build
from services.analytics.settings import AnalyticsSettings
from services.runtime.main import run


def main() -> None:
    """Build from the environment, run until told to stop."""
    settings = AnalyticsSettings()
    run(build(settings), settings, migrations=("services.runtime", "services.analytics"))


if __name__ == "__main__":
    main()
