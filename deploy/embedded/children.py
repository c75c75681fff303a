"""A group of children kept alive: what dies is started again, more and more slowly, until it is hopeless."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.process import Child, Running, end_group, reason, start, stop
from services.runtime.errors import STAYS_DOWN

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 5.0
HOPELESS_DEATHS, HOPELESS_SECONDS = 5, 60.0
TICK_SECONDS = 0.05


class Children:
    """The children of one home. All calls come from one thread, which lives as long as they do."""

    def __init__(self, home: Path) -> None:
        self.running: dict[str, Running] = {}
        self.restarts: dict[str, int] = {}
        self.down: dict[str, str] = {}
        self._home = home
        self._deaths: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HOPELESS_DEATHS))
        self._due: dict[str, float] = {}

    def start(self, children: Sequence[Child], held: bool = False) -> None:
        """Start children in their order, without waiting for any; those held get their word from `release`."""
        for child in children:
            self.running[child.name] = start(child, self._home, held)
            self.restarts[child.name] = 0

    def release(self) -> None:
        """Let all that were held go on."""
        for one in self.running.values():
            if one.process.stdin:
                one.process.stdin.close()

    def wait_ready(self, seconds: float = 60.0, stopping: Callable[[], bool] = lambda: False) -> None:
        """Keep all alive until each not held has said once that it is ready; EmbeddedError naming the late one."""
        deadline = time.monotonic() + seconds
        waiting = [one.child for one in self.running.values() if one.child.ready and not one.held]
        while waiting and not stopping():
            self.mend(time.monotonic())
            waiting = [c for c in waiting if c.ready and c.name not in self.down and not c.ready()]
            if waiting and time.monotonic() > deadline:
                late = waiting[0].name
                raise EmbeddedError(f"{late} was not ready after {seconds:.0f} s: {reason(self.running[late])}.")
            time.sleep(TICK_SECONDS)

    def mend(self, now: float) -> bool:
        """Start again what died and has waited its time (`now`: monotonic seconds); say whether anything changed.

        A child that only an operator can let go on stays down, the others run on. EmbeddedError when a child died five
        times within a minute.
        """
        changed = False
        for name, one in list(self.running.items()):
            if one.process.poll() is None or name in self.down:
                continue
            if one.process.returncode == STAYS_DOWN:
                self.down[name] = reason(one)
                changed = True
                continue
            if name not in self._due:
                self._due[name] = now + self._wait_after_death(one, now)
            elif now >= self._due[name]:
                del self._due[name]
                self.running[name] = start(one.child, self._home, one.held)
                self.restarts[name] += 1
                changed = True
        return changed

    def stop(self, names: Sequence[str]) -> None:
        """Stop these children, the one started last first, within 20 s."""
        stop([self.running.pop(name) for name in reversed(list(self.running)) if name in names], self._home)

    def _wait_after_death(self, one: Running, now: float) -> float:
        end_group(one)
        deaths = self._deaths[one.child.name]
        deaths.append(now)
        recent = sum(now - death < HOPELESS_SECONDS for death in deaths)
        if recent >= HOPELESS_DEATHS:
            raise EmbeddedError(
                f"{one.child.name} died {recent} times within a minute (last exit code "
                f"{one.process.returncode}): {reason(one)}."
            )
        return min(FIRST_WAIT_SECONDS * 2.0 ** (recent - 1), LONGEST_WAIT_SECONDS)
