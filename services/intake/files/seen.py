"""Which rows of a list were met and which are on the log: on disk, so that a list may have any size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    digest BLOB PRIMARY KEY, run INTEGER NOT NULL, met INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY);
"""
_MEET = """
INSERT INTO rows (digest, run, met) VALUES (?, ?, 1)
ON CONFLICT (digest) DO UPDATE SET met = CASE WHEN run = excluded.run THEN met + 1 ELSE 1 END, run = excluded.run
RETURNING met, sent
"""


class Seen:
    """Counts equal rows of one run, and keeps for ever how many of them are on the log.

    `met` is not written down before `keep`: a run that is killed counts anew, since the next one reads from the top.
    """

    def __init__(self, file: Path | None) -> None:
        """In a file, or, where nothing is to be kept, in a temporary one that the disk forgets."""
        self._base = sqlite3.connect(str(file or ""), isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.execute("PRAGMA cache_size=-16000")
        self._base.executescript(_SCHEMA)
        self._run = self._base.execute("INSERT INTO runs DEFAULT VALUES RETURNING run").fetchone()[0]
        self._base.execute("BEGIN")

    def meet(self, digest: bytes) -> tuple[int, int]:
        """The how-manieth row of this content this is in the file, and how many of it are on the log."""
        met, sent = self._base.execute(_MEET, (digest, self._run)).fetchone()
        return met, sent

    def keep(self, sent: Iterable[tuple[bytes, int]] = ()) -> None:
        """Write down that the rows with these digests are on the log, up to the n-th of each."""
        self._base.executemany(
            "UPDATE rows SET sent = max(sent, ?) WHERE digest = ?", [(nth, digest) for digest, nth in sent]
        )
        self._base.execute("COMMIT")
        self._base.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file; what was only met is forgotten."""
        self._base.close()
