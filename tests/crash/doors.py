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
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from schemas.topics import LEADS_RECEIVED
from services.cli.benches.stand import Stand, stand
from services.cli.installation import Installation, source_keys
from services.cli.ports import answers, read_ports
from services.cli.sending import Ledger, submission_ids
from services.cli.up import WORKERS, children_of
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


def _ready(home: Path) -> None:
    """Return once intake answers."""
    while not answers(f"http://127.0.0.1:{read_ports(home).intake}/readyz"):
        time.sleep(0.05)


def _play(stand: Stand, here: Installation, kills: int, clients: int, rng: random.Random) -> Door:
    url, ledger = f"http://127.0.0.1:{here.ports.intake}", Ledger(here.ledger / "doors.jsonl")
    door = Door(url, source_keys(here.home)["website"], ledger)
    threads = [threading.Thread(target=door.guarded, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for n in range(kills):
        time.sleep(rng.uniform(0.0, 1.5))
        process = stand.children.running["intake"].process
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        stand.children.start(children_of("intake", stand.parts, here.ports, 1))
        _ready(here.home)
        print(f"kill {n + 1}: {door.acknowledged} acknowledged, {door.tries} tries", flush=True)
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
    with stand() as running:
        running.start("mailbox", "intake", *WORKERS)
        here = Installation(running.home, running.parts.kafka, running.parts.postgres, read_ports(running.home))
        door = _play(running, here, me.kills, me.clients, random.Random(me.seed))
        missing = _missing(here.kafka, here.ledger / "doors.jsonl")
        report = verify(here, wait=True, timeout_s=300)
    for text in (*door.troubles, *(f"{v.rule}: {v.text}: {len(v.ids)} times" for v in report.violations)):
        print(f"VIOLATION {text}")
    violations = missing + len(door.troubles) + len(report.violations)
    print(f"kills={me.kills} acknowledged={door.acknowledged} tries={door.tries} violations={violations}", flush=True)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
