"""All figures of `tests/RESULTS.md`, one after the other: `python -m tests.bench [--quick]`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime

from services.cli.benches.chain import chain
from services.cli.benches.intake import batch, intake
from services.cli.benches.latency import burst, latency
from services.cli.benches.lists import lists


def main(quick: bool) -> None:
    """Measure and print each figure with what it was measured on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, {machine}")
    runs = {
        "chain": lambda: chain(20_000 if quick else 200_000),
        "latency": lambda: latency(50, 10 if quick else 60),
        "burst": lambda: burst(1_000 if quick else 10_000),
        "intake": lambda: intake(5 if quick else 20),
        "batch": lambda: batch(5 if quick else 20, workers=2, size=1000, connections=4, sdk=True),
        "import": lambda: lists(2_000 if quick else 100_000, 50),
    }
    for name, measure in runs.items():
        load = os.getloadavg()[0]
        print(f"{name} (load before: {load:.1f}): {json.dumps(measure())}", flush=True)


if __name__ == "__main__":
    main("--quick" in sys.argv)
