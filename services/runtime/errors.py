"""Everything that goes wrong by design.

CaudalError
├── Fenced           somebody else owns the partition now: drop its records, take the fence anew or leave
├── Unavailable      broker, database or another dependency is away: roll back, wait, try again; never a dead letter
├── LogGap           the log no longer holds what comes next: stop until an operator confirms
├── Halted           the service stopped itself: stay stopped until an operator confirms
├── RulesInvalid     a rule book that cannot be used: names file, line and remedy
└── SettingsInvalid  a setting that cannot be used: names the setting and the remedy
"""

from __future__ import annotations

STAYS_DOWN = 5
"""Exit code of a service that only an operator can let go on: a supervisor leaves it down and keeps the others."""


class CaudalError(Exception):
    """Root of the tree; never raised itself."""


class Fenced(CaudalError):
    """These partitions have another owner."""

    def __init__(self, partitions: frozenset[tuple[str, int]]) -> None:
        super().__init__(f"fenced: {sorted(partitions)}")
        self.partitions = partitions


class Unavailable(CaudalError):
    """A dependency did not answer as it should."""


class LogGap(CaudalError):
    """Records between the fence's next offset and the log's ends are gone."""


class Halted(CaudalError):
    """Going on would do harm that only a person can judge."""


class RulesInvalid(CaudalError):
    """The rule book cannot be used."""


class SettingsInvalid(CaudalError):
    """The setting cannot be used."""
