"""`python -m tests.fuzz --seconds 600`: schemathesis against a running intake, by its own OpenAPI description.

Intake writes to a real broker. `/in/{source}` is tried at the address of one source of every protocol and of every
preset, with its key or its signature (`tests/fuzz_signing.py`). The last line is
`seconds=N requests=N signed=N proved=N server_errors=N alive=True|False`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.embedded.parts import running_parts
from services.intake import keys
from services.intake.sources.presets import presets
from tests.fuzz_signing import PUBLIC, SECRET, SIGNED
from tests.integration.test_intake_http import ROOT, Intake, running_intake

_REQUESTS = re.compile(r"caudal_intake_requests_total\{outcome=\"(\d+)\",source=\"([^\"]*)\"\} ([0-9.e+]+)")


@dataclass(frozen=True)
class Outcome:
    """What a run came to: schemathesis' exit code and words, what intake itself counted, and whether it still lives.

    Of the `requests` so many were `signed` sources', of these so many `proved`: not refused as a stranger's.
    """

    code: int
    said: str
    requests: int
    signed: int
    proved: int
    server_errors: int
    alive: bool


def book() -> tuple[str, dict[str, str]]:
    """A book with one source for each preset, and the key of each that needs no signature."""
    made: dict[str, Any] = {name: {"preset": name} for name in SIGNED}
    texts: dict[str, str] = {}
    for name, preset in presets().items():
        if name not in SIGNED:
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
        paths |= {f"/in/{name}": without for name in SIGNED}
    return {**document, "paths": paths}


@contextmanager
def fuzzed_intake(servers: str, folder: Path) -> Iterator[tuple[Intake, dict[str, str]]]:
    """Intake with this book and the secrets of its signed sources, and the keys of the others."""
    body, texts = book()
    held = folder / "secrets.json"
    held.write_text(json.dumps({name: {"secret": [SECRET], "verify": ["a token"]} for name in SIGNED}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUDAL_SOURCE_SECRETS", str(held))
        patch.setenv("CAUDAL_PUBLIC_URL", PUBLIC)
        with running_intake(servers, folder / "stderr", body, texts["all"]) as intake:
            yield intake, texts


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
    env = os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz_signing"}
    run = subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=env, timeout=seconds * 2 + 120)
    found = _REQUESTS.findall(httpx.get(f"{intake.url}/metrics").text)
    counted = [(status, source in SIGNED, round(float(n))) for status, source, n in found]
    return Outcome(
        run.returncode, run.stdout[-4000:] + run.stderr[-2000:],
        requests=sum(n for _, _, n in counted),
        signed=sum(n for _, signed, n in counted if signed),
        proved=sum(n for status, signed, n in counted if signed and status not in ("401", "429")),
        server_errors=sum(n for status, _, n in counted if status.startswith("5")),
        alive=_alive(intake),
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
        with running_parts(home / "parts") as parts, fuzzed_intake(parts.kafka, home) as (intake, texts):
            outcome = fuzz(intake, home, me.seconds, texts, me.seed)
    print(outcome.said)
    print(
        f"seconds={me.seconds} requests={outcome.requests} signed={outcome.signed} proved={outcome.proved} "
        f"server_errors={outcome.server_errors} alive={outcome.alive}"
    )
    sys.exit(bool(outcome.server_errors or outcome.code or not outcome.alive))


if __name__ == "__main__":
    main()
