"""What `caudal verify` found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType

from services.cli.tables import table

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that is broken: its name, what it says of each id, and the ids."""

    rule: str
    text: str
    ids: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """Figures, and the rules that are broken; none is what should come out."""

    figures: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def add(self, rule: str, text: str, ids: Iterable[str]) -> None:
        """Note the ids that break a rule, if there are any."""
        if found := tuple(ids):
            self.violations.append(Violation(rule, text, found))

    @property
    def broken(self) -> int:
        """How many ids break a rule, over all rules."""
        return sum(len(violation.ids) for violation in self.violations)

    def as_json(self) -> dict[str, Any]:
        """Figures, the number of `violations`, and under `broken` every rule with all of its ids."""
        broken = [{"rule": v.rule, "text": v.text, "ids": list(v.ids)} for v in self.violations]
        return {**self.figures, "violations": self.broken, "broken": broken}

    def as_tables(self) -> RenderableType:
        """For a terminal: figures, then the broken rules with up to five ids each."""
        figures = table("figure", "value")
        for name, value in {**self.figures, "violations": self.broken}.items():
            figures.add_row(name.replace("_", " "), f"{value:,}")
        if not self.violations:
            return figures
        broken = table("broken rule", "what it means", "how often", "which")
        for v in self.violations:
            more = "\n…" if len(v.ids) > SHOWN else ""
            broken.add_row(v.rule, v.text, f"{len(v.ids):,}", "\n".join(v.ids[:SHOWN]) + more)
        return Group(figures, broken)
