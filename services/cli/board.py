"""What `caudal demo` shows while the sample day goes by."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.figures import Figures, figures
from services.cli.installation import Installation, check_runs
from services.cli.playing import Tally

LOOK_EVERY_S, LOOK_FIRST_S = 0.5, 0.1
LINE_EVERY_S = 5.0


@dataclass(slots=True)
class Board:
    """Looks at the installation now and then and shows it: a live table on a terminal, else lines.

    A line comes when figures have changed, at most every 5 s. `began`: the monotonic moment from which
    `first_assigned_s` counts.
    """

    here: Installation
    tally: Tally
    began: float
    before: Figures
    out: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))
    now: Figures = field(default_factory=Figures)
    changed: float = field(default_factory=time.monotonic)
    first_assigned_s: float | None = None
    over: bool = False
    _live: Live | None = None
    _looked: float = 0.0
    _said_at: float = 0.0
    _said: tuple[object, ...] = ()

    def __enter__(self) -> Board:
        ports = self.here.ports
        self.out.print(f"console  http://127.0.0.1:{ports.console}/\nmails    http://127.0.0.1:{ports.mailbox}/")
        if self.out.is_terminal:
            self._live = Live(self._table(), console=self.out, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live:
            self._live.stop()

    def look(self) -> None:
        """Count again and show, unless that was done just now; EmbeddedError if what is looked at has ended."""
        moment = time.monotonic()
        if moment - self._looked < (LOOK_EVERY_S if self.first_assigned_s else LOOK_FIRST_S):
            return
        check_runs(self.here.home)
        found = figures(self.here).since(self.before)
        if found.leads < self.now.leads:  # analytics does not answer, as while all is being stopped
            return
        if found != self.now:
            self.changed = moment
        if found.assigned > 0 and self.first_assigned_s is None:
            self.first_assigned_s = round(time.monotonic() - self.began, 1)
            self.out.print(f"first lead assigned {self.first_assigned_s} s after the start")
        self.now, self._looked = found, time.monotonic()
        self.show(moment)

    def show(self, moment: float) -> None:
        """Show what is known at this monotonic moment."""
        if self._live:
            self._live.update(self._table(), refresh=True)
        elif moment - self._said_at >= LINE_EVERY_S and (figures := self._figures()) != self._said:
            self._said_at, self._said = moment, figures
            self.out.print(self._line())

    def _figures(self) -> tuple[object, ...]:
        return self.tally.sent, self.tally.acknowledged, self.now

    def _line(self) -> str:
        tally, now = self.tally, self.now
        return (
            f"{self.time_of_day()}  sent {tally.sent:,}  acknowledged {tally.acknowledged:,}  leads {now.leads:,}  "
            f"assigned {now.assigned:,}  accepted {now.accepted:,}  won {now.won:,}  mails {now.mails:,}  "
            f"dead letters {now.dead_letters:,}"
        )

    def time_of_day(self) -> str:
        """The played time, which is not that of the clock on the wall."""
        return "sample day over" if self.over else f"sample day {_clock(self.tally.at)} of 24:00"

    def _table(self) -> RenderableType:
        tally, now = self.tally, self.now
        refused = ", ".join(f"{code} {n}" for code, n in tally.refused.most_common(4))
        rows = {
            "sent by sources": f"{tally.sent:,}, acknowledged {tally.acknowledged:,}",
            "refused at intake": f"{tally.refused.total():,}" + (f" ({refused})" if refused else ""),
            "leads": f"{now.leads:,}, assigned {now.assigned:,}",
            "the CRM says": f"accepted {now.accepted:,}, won {now.won:,}, lost {now.lost:,}",
            "mails caught": f"{now.mails:,}",
            "dead letters": f"{now.dead_letters:,}",
        }
        table = Table.grid(padding=(0, 2))
        table.add_row(self.time_of_day(), ProgressBar(86_400, 86_400 if self.over else tally.at, width=50))
        for name, value in rows.items():
            table.add_row(Text(name, style="dim"), value)
        return Group(table, Text("Ctrl-C ends it", style="dim"))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02d}:{int(seconds) % 3600 // 60:02d}"
