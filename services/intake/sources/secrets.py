"""Secrets of sources: signing secrets and tokens, in a file of their own, never in the rule book or the log.

The file is JSON, readable by its owner only: `{"meta-spain": {"secret": ["new", "old"], "verify": ["..."]}}`.
During a rotation a part has two values, both valid. Parts: `secret` (signatures), `verify` (Meta's handshake),
`token` (its API).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

_LOOK_EVERY_S = 1.0


class SourceSecrets:
    """The file, read again when it has changed; one that is away or no JSON, and a value that is no text, hold none."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._looked = 0.0
        self._seen: tuple[int, int] | None = None
        self._values: dict[str, dict[str, list[str]]] = {}

    def of(self, source: str, part: str = "secret") -> tuple[str, ...]:
        """The values that are valid now, the newest first; empty where there is none."""
        now = time.monotonic()
        if now >= self._looked + _LOOK_EVERY_S:
            self._looked = now
            self._look()
        return tuple(self._values.get(source, {}).get(part, ()))

    def _look(self) -> None:
        try:
            stat = self._path.stat() if self._path else None
            seen = (stat.st_mtime_ns, stat.st_size) if stat else None
            if self._path and seen != self._seen:
                self._values, self._seen = _checked(json.loads(self._path.read_text())), seen
        except (OSError, ValueError):
            self._values, self._seen = {}, None


def _checked(content: object) -> dict[str, dict[str, list[str]]]:
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return {
        str(source): {
            part: [v for v in (values if isinstance(values, list) else [values]) if isinstance(v, str) and v]
            for part, values in parts.items()
        }
        for source, parts in content.items()
        if isinstance(parts, dict)
    }
