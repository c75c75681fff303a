"""`python -m tests.crash.doors --kills 50`: intake killed with -9 under clients that try again until they get a 200.

Singles, batches and deliveries at a source's own address, each with its sender's own key. Every hundredth item that was
acknowledged is sent once more and must get the same id. At the end each acknowledged id must be on the topic, and
`verify` must find each once in effect. The last line is `kills=N acknowledged=N violations=N`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deploy.embedded.supervisor import await_launched, launch, read_state, stop_launched
from schemas.topics import LEADS_RECEIVED
from services.cli.installation import running, source_keys
from services.cli.ports import answers, read_ports
from services.cli.sending import Ledger, submission_ids
from services.cli.verification.oracle import verify
from services.runtime.kafka.reader import Reader

BATCH = 20
RESENT = 100
PAUSE_S = 0.05


@dataclass
class Door:
    """Where the clients knock, and what became of it."""

    url: str
    key: str
    ledger: Ledger
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: int = 0
    tries: int = 0
    troubles: list[str] = field(default_factory=list)

    def knock(self, client: httpx.Client, path: str, body: object, key: str) -> list[str]:
        """Post until it is acknowledged, also when the run is over meanwhile; the ids."""
        headers = {"authorization": f"Bearer {self.key}", "idempotency-key": key}
        while True:
            with self.lock:
                self.tries += 1
            try:
                answer = client.post(self.url + path, json=body, headers=headers)
                if answer.status_code == 200:
                    return submission_ids(answer.json())
                if answer.status_code != 503:
                    raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")
            except httpx.TransportError:
                pass
            time.sleep(PAUSE_S)

    def visit(self, number: int) -> None:
        """One client: posts item after item until told to stop."""
        with httpx.Client(timeout=10) as client:
            for n, (path, body) in enumerate(_bodies(number)):
                if self.stopping.is_set():
                    return
                key = f"door-{number}-{n}"
                ids = self.knock(client, path, body, key)
                with self.lock:
                    self.ledger.note(ids, "doors")
                    self.acknowledged += len(ids)
                if n % RESENT == 0 and self.knock(client, path, body, key) != ids:
                    self.troubles.append(f"{key} has other ids when it comes again")

    def guarded(self, number: int) -> None:
        """The same; what it cannot live with is a trouble of the run."""
        try:
            self.visit(number)
        except (RuntimeError, ValueError) as error:
            self.troubles.append(f"client {number}: {error}")


def _bodies(number: int) -> Iterator[tuple[str, object]]:
    n = 0
    while True:
        people = [{"email": f"p{number}-{n + i}@example.com", "name": "Ana Soto"} for i in range(BATCH)]
        yield "/v1/leads", people[0]
        yield "/in/website", people[1]
        yield "/v1/leads", people[2:]
        n += BATCH


def _intake(home: Path) -> int:
    """The pid of the intake that runs now, once it answers."""
    port = read_ports(home).intake
    while True:
        state = read_state(home)
        child = next((c for c in state.children if c.name == "intake"), None) if state else None
        if child and answers(f"http://127.0.0.1:{port}/readyz"):
            return child.pid
        time.sleep(0.05)


def _play(home: Path, kills: int, clients: int, rng: random.Random) -> Door:
    here = running()
    door = Door(
        f"http://127.0.0.1:{here.ports.intake}", source_keys(home)["website"], Ledger(here.ledger / "doors.jsonl")
    )
    threads = [threading.Thread(target=door.guarded, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for n in range(kills):
        pid = _intake(home)
        time.sleep(rng.uniform(0.0, 1.5))
        os.kill(pid, signal.SIGKILL)
        while _intake(home) == pid:
            time.sleep(0.05)
        print(f"kill {n + 1}: {door.acknowledged} acknowledged, {door.tries} tries", flush=True)
    _intake(home)
    door.stopping.set()
    for thread in threads:
        thread.join(60)
    return door


def _missing(kafka: str, ledger: Path) -> int:
    """How many acknowledged ids are not on the topic."""
    reader = Reader(kafka, [LEADS_RECEIVED.name])
    on_log = {dict(record.headers)["ce_id"].decode() for record in reader.to_end(600)}
    reader.close()
    return len({json.loads(line)["submission_id"] for line in ledger.open()} - on_log)


def main() -> None:
    """Run on an installation of its own; exit code 1 with violations."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--kills", type=int, default=50)
    ask.add_argument("--clients", type=int, default=6)
    ask.add_argument("--seed", type=int, default=random.randrange(10**6))
    me = ask.parse_args()
    print(f"seed {me.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="caudal-doors-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user where this process is root
        home = Path(folder) / "home"
        os.environ["CAUDAL_HOME"] = str(home)
        launched = launch(home, [sys.executable, "-m", "services.cli", "up"])
        try:
            await_launched(launched, lambda state: state.ready)
            door = _play(home, me.kills, me.clients, random.Random(me.seed))
            here = running()
            missing = _missing(here.kafka, here.ledger / "doors.jsonl")
            report = verify(here, wait=True, timeout_s=300)
        finally:
            stop_launched(launched)
    for text in (*door.troubles, *(f"{v.rule}: {v.text}: {len(v.ids)} times" for v in report.violations)):
        print(f"VIOLATION {text}")
    violations = missing + len(door.troubles) + len(report.violations)
    print(f"kills={me.kills} acknowledged={door.acknowledged} tries={door.tries} violations={violations}", flush=True)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
