"""Tracking SDKs as they are published: installed for one run, played, and failed on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

CLIENTS = Path(__file__).parent / "clients"
SDKS: Mapping[str, tuple[str, bool]] = {
    "segment": ("segment.analytics", False),
    "segment-gzip": ("segment.analytics", True),
    "rudder": ("rudderstack.analytics", False),
    "rudder-gzip": ("rudderstack.analytics", True),
    "legacy": ("analytics", False),
    "node": ("node", False),
}
"""Each SDK as its module, and whether it compresses."""


@dataclass(frozen=True)
class Program:
    """How the plays of one SDK are run; or why it could not be installed."""

    argv: tuple[str, ...] = ()
    path: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Play:
    """What one client sends: `{"call", "id", "email"}` each."""

    key: str
    host: str
    gzip: bool
    events: Sequence[Mapping[str, str]]


def installed(folder: Path) -> dict[str, Program]:
    """The programs by module. The SDKs that are no dependencies of ours are installed into this folder.

    analytics-python overwrites a part of segment-analytics-python and wants another `backoff` than rudder-sdk-python.
    """
    node, legacy = folder / "node", folder / "legacy"
    shutil.copytree(CLIENTS, node)
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", "--target")
    with ThreadPoolExecutor(2) as pool:
        by_pip = pool.submit(_tried, (*pip, str(legacy), "-r", str(CLIENTS / "analytics-python.txt")), folder)
        by_npm = pool.submit(_tried, ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"), node)
    python = (sys.executable, str(CLIENTS / "tracking.py"))
    return {
        "segment.analytics": Program((*python, "segment.analytics")),
        "rudderstack.analytics": Program((*python, "rudderstack.analytics")),
        "analytics": Program((*python, "analytics"), str(legacy), by_pip.result()),
        "node": Program(("node", str(node / "tracking.mjs")), missing=by_npm.result()),
    }


def _tried(argv: Sequence[str], folder: Path) -> str:
    """Nothing, or why that did not work."""
    try:
        run = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]}: {error}"
    return f"{argv[0]}: {run.stderr[-500:]}" if run.returncode else ""


def play(program: Program, plays: Sequence[Play]) -> list[list[str]]:
    """Run them all at once; the errors that each client was told."""
    if program.missing:
        return [[] for _ in plays]
    sent = json.dumps([vars(one) for one in plays])
    env = os.environ | {"PYTHONPATH": program.path}
    found = subprocess.run(program.argv, input=sent, capture_output=True, text=True, timeout=120, env=env)
    assert found.returncode == 0, found.stderr[-2000:]
    told: list[list[str]] = json.loads(found.stdout)
    return told


@contextmanager
def between(url: str, refuse: int = 0, lose: int = 0) -> Iterator[str]:
    """An address that passes requests on, but answers 503 to the first `refuse` or, having passed them on, `lose`."""
    left, lock = {"refuse": refuse, "lose": lose}, threading.Lock()

    def one_of(what: str) -> bool:
        with lock:
            left[what] -= 1
            return left[what] >= 0

    class Passing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept = {n: v for n, v in self.headers.items() if n.lower() in ("authorization", "content-type")}
            answer = None if one_of("refuse") else httpx.post(url + self.path, content=body, headers=kept, timeout=20)
            if answer is None or one_of("lose"):
                answer = httpx.Response(503, json={"code": "unavailable", "message": "not now"})
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Passing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
