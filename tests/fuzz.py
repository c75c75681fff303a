"""`python -m tests.fuzz --seconds 600`: schemathesis against a running intake, by its own OpenAPI description.

Intake writes to a real broker. `/in/{source}` is tried at the address of one source of every protocol and of every
preset that takes a key. The last line is `seconds=N requests=N server_errors=N alive=True|False`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.embedded.parts import running_parts
from services.intake import keys
from services.intake.sources.presets import presets
from tests.integration.test_intake_http import Intake, running_intake

_REQUESTS = re.compile(r"caudal_intake_requests_total\{outcome=\"(\d+)\",source=\"[^\"]*\"\} ([0-9.e+]+)")


@dataclass(frozen=True)
class Outcome:
    """What a run came to: schemathesis' exit code and words, what intake itself counted, and whether it still lives."""

    code: int
    said: str
    requests: int
    server_errors: int
    alive: bool


def book() -> tuple[str, dict[str, str]]:
    """A book with one source for each preset that needs no signature, and each one's key."""
    made: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, preset in presets().items():
        if "signature" not in preset.source:
            texts[name], prefix, digest = keys.new_key()
            made[name] = {"preset": name, "keys": [{"prefix": prefix, "sha256": digest}]}
            if "redirect_field" in preset.source:
                made[name]["redirect_hosts"] = ["www.example.com"]
    texts["all"], prefix, digest = keys.new_key()
    accepts = ["leads", "activities", "consents", "outcomes", "results"]
    made["all"] = {
        "keys": [{"prefix": prefix, "sha256": digest}],
        "accepts": accepts,
        "destination": "crm",
        "query": True,
    }
    return yaml.safe_dump({"sources": made}), texts


def concrete(document: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The description with a path of its own for each source in place of `/in/{source}`."""
    paths = {path: what for path, what in document["paths"].items() if not path.startswith("/in/")}
    found = next((what for path, what in document["paths"].items() if path.startswith("/in/{source}")), None)
    if found is not None:
        without = {name: part for name, part in found.items() if name != "parameters"}
        paths |= {f"/in/{name}/{text}": without for name, text in texts.items()}
    return {**document, "paths": paths}


def fuzz(intake: Intake, folder: Path, seconds: int, texts: Mapping[str, str], seed: int) -> Outcome:
    """Run schemathesis for some seconds against this intake."""
    document = concrete(httpx.get(f"{intake.url}/openapi.json").json(), texts)
    schema = folder / "openapi.json"
    schema.write_text(json.dumps(document))
    argv = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(schema), "--url", intake.url,
        "--header", f"Authorization: Bearer {texts['all']}", "--checks", "not_a_server_error",
        "--max-time", str(seconds), "--continue-on-failure", "--seed", str(seed), "--request-timeout", "20",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
    ]  # fmt: skip
    run = subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=seconds * 2 + 120)
    counted = _REQUESTS.findall(httpx.get(f"{intake.url}/metrics").text)
    return Outcome(
        run.returncode, run.stdout[-4000:] + run.stderr[-2000:], round(sum(float(n) for _, n in counted)),
        round(sum(float(n) for status, n in counted if status.startswith("5"))),
        _alive(intake),
    )  # fmt: skip


def _alive(intake: Intake) -> bool:
    """Whether it takes a lead, at the latest when it has caught up with what it was given."""
    for _ in range(10):
        if intake.post(json.dumps({"email": "ana@example.com"}).encode()).status_code == 200:
            return True
        time.sleep(1)
    return False


def main() -> None:
    """Run on parts of its own; exit code 1 with a server error."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=int, default=600)
    ask.add_argument("--seed", type=int, default=1)
    me = ask.parse_args()
    with tempfile.TemporaryDirectory(prefix="caudal-fuzz-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # PostgreSQL runs as another user where this process is root
        body, texts = book()
        with (
            running_parts(home / "parts") as parts,
            running_intake(parts.kafka, home / "stderr", body, texts["all"]) as intake,
        ):
            outcome = fuzz(intake, home, me.seconds, texts, me.seed)
    print(outcome.said)
    print(
        f"seconds={me.seconds} requests={outcome.requests} server_errors={outcome.server_errors} alive={outcome.alive}"
    )
    sys.exit(bool(outcome.server_errors or outcome.code or not outcome.alive))


if __name__ == "__main__":
    main()
