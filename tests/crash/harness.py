"""A stand of its own, with two instances of every worker and a supervisor that starts again what dies."""

from __future__ import annotations

import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import psutil

from deploy.embedded.children import Children
from deploy.embedded.parts import Parts
from deploy.embedded.process import Child, Running, end_group, start, stop
from services.cli.installation import Installation
from services.cli.up import WORKERS, children_of

TICK_S = 0.05
LEASE = {"CAUDAL_SMTP_TIMEOUT_S": "1", "CAUDAL_MAIL_LEASE_S": "14"}
"""A mail that a dying worker had claimed goes out after 14 s instead of a minute; longer than any stop of a run."""
HIT = re.compile(r"fault hit: (\S+) (\d+)")


@dataclass
class Stand:
    """The running stand. All calls come from one thread, which lives as long as its children do."""

    here: Installation
    parts: Children
    rng: random.Random
    specs: dict[str, Child] = field(default_factory=dict)
    workers: dict[str, Running] = field(default_factory=dict)
    plans: dict[str, list[str]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    load: Running | None = None
    loads: int = 0
    began: float = field(default_factory=time.monotonic)
    _read_to: dict[str, int] = field(default_factory=dict)
    _names: int = 0

    @property
    def kills(self) -> int:
        """Workers that died by SIGKILL."""
        return self.killed.total()

    def say(self, text: str) -> None:
        """One line of the run's log."""
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def trouble(self, text: str) -> None:
        """Something that no kill excuses; it counts as a violation."""
        self.troubles.append(text)
        self.say(f"VIOLATION {text}")

    def start_workers(self) -> None:
        """Two instances of each worker service."""
        where = Parts(self.here.kafka, self.here.postgres)
        for child in (c for name in WORKERS for c in children_of(name, where, self.here.ports, 2)):
            self.specs[child.name] = replace(child, env={**child.env, **LEASE})
            self.start(child.name)

    def start(self, name: str, fault: str = "", *, fresh: bool = False) -> None:
        """Start an instance, armed with this fault or the next of its plan; `fresh` as another static member."""
        spec, plan = self.specs[name], self.plans.get(name)
        fault = fault or (plan.pop(0) if plan else "")
        if fresh:
            self._names += 1
            spec = replace(spec, env={**spec.env, "CAUDAL_WORKER": f"{spec.env['CAUDAL_WORKER']}-{self._names}"})
            self.specs[name] = spec
        log = self.here.home / "logs" / f"{name}.log"
        self._read_to[name] = log.stat().st_size if log.exists() else 0
        self.workers[name] = start(replace(spec, env={**spec.env, "CAUDAL_FAULT": fault}), self.here.home)

    def kill(self, name: str, *, fresh: bool = False) -> None:
        """SIGKILL an instance and start it again at once."""
        one = self.workers[name]
        end_group(one)
        one.process.wait()
        self.killed[_service(name)] += 1
        self.say(f"killed {name}" + " (comes back under another name)" * fresh)
        self.start(name, fresh=fresh)

    def restart(self, name: str, fault: str = "") -> None:
        """Stop an instance cleanly and start it again."""
        since = time.monotonic()
        self._stop([name])
        self.say(f"restarted {name} within {time.monotonic() - since:.1f} s" + (f", arms {fault}" * bool(fault)))
        self.start(name, fault)

    def stop_workers(self) -> None:
        """Stop all cleanly, at once."""
        self._stop(list(self.workers))

    def _stop(self, names: list[str]) -> None:
        stop([self.workers[name] for name in names], self.here.home)
        for name in names:
            one = self.workers.pop(name)
            if one.process.returncode not in (0, -signal.SIGTERM):  # the signal ends who has not begun to work
                self.trouble(f"{name} ended with {one.process.returncode} when asked to stop, see {one.log}")

    def mend(self) -> None:
        """Start again what died since; who was not killed by a fault point is in trouble."""
        self.parts.mend(time.monotonic())
        for name, one in list(self.workers.items()):
            if one.process.poll() is None:
                continue
            if one.process.returncode == -signal.SIGKILL and (point := self.fault_of(name)):
                self.killed[_service(name)] += 1
                self.hits[_service(name), point] += 1
                self.say(f"hit {point} of {name}")
            else:
                self.trouble(f"{name} ended by itself with {one.process.returncode}, see {one.log}")
            self.start(name)

    def fault_of(self, name: str) -> str | None:
        """The fault point that this start of an instance has hit, as its log tells."""
        with self.workers[name].log.open("rb") as log:
            log.seek(self._read_to[name])
            found = HIT.search(log.read().decode(errors="replace"))
        return found[1] if found else None

    def stands_still(self, name: str) -> bool:
        """Whether an instance is stopped by SIGSTOP."""
        return psutil.Process(self.workers[name].process.pid).status() == psutil.STATUS_STOPPED

    def rest(self, seconds: float) -> None:
        """Let it run, mending."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.mend()
            time.sleep(TICK_S)

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> bool:
        """Let it run, mending, until something is so. Later than `seconds` is a violation."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                self.trouble(f"{what}: not so after {seconds:.0f} s")
                return False
            self.rest(2 * TICK_S)
        return True

    def start_load(self, per_s: float) -> None:
        """Offer submissions from a process of its own."""
        self.loads += 1
        argv = (sys.executable, "-m", "tests.crash.load", "--run", f"crash{self.loads}",
                "--first", str(self.loads * 200_000), "--per-s", str(per_s))  # fmt: skip
        self.load = start(
            replace(next(iter(self.specs.values())), name=f"load-{self.loads}", argv=argv), self.here.home
        )

    def stop_load(self) -> None:
        """Let the last chunk be acknowledged, and say what was offered."""
        assert self.load is not None
        stop([self.load], self.here.home)
        told = re.search(r"offered=.*", self.load.log.read_text())
        self.say(f"load: {told[0] if told else 'says nothing'}")
        if self.load.process.returncode != 0:
            self.trouble(f"the load ended with {self.load.process.returncode}, see {self.load.log}")
        self.load = None


def _service(instance: str) -> str:
    return instance.rsplit("-", 1)[0]
