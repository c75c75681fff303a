"""Frozen copies of released contracts, and the gate that holds the present one against all of them.

`python -m schemas.release` checks; `python -m schemas.release v0.2` freezes the present contract under that name.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.compatibility import Difference, differences, upgrade_first
from schemas.export import EXAMPLES, GENERATED, HERE

RELEASED = HERE / "released"
NEW_TYPE = "new type"


def versions(released: Path = RELEASED) -> list[Path]:
    """The folder of each released version."""
    return sorted(path for path in released.iterdir() if path.is_dir())


def freeze(version: str, released: Path = RELEASED) -> Path:
    """Copy the generated contract and the examples. Raises FileExistsError: what is released never changes."""
    folder = released / version
    shutil.copytree(GENERATED, folder)
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


def findings(released: Path = RELEASED, current: Path = GENERATED) -> list[Difference]:
    """Every incompatibility of the current contract with any released one; paths begin with version and message."""
    return [found for version in versions(released) for found in _against(version, current)]


def refused(found: Iterable[Difference]) -> list[Difference]:
    """Those that need a new version on a new topic. A new event type needs only the right order of deployment."""
    return [difference for difference in found if difference.kind != NEW_TYPE]


def _against(version: Path, current: Path) -> Iterator[Difference]:
    for old in sorted((version / "jsonschema").glob("*.json")):
        new, path = current / "jsonschema" / old.name, f"{version.name} {old.stem}"
        if not new.exists():
            yield Difference(path, "message", "backward", "gone; its old records cannot be read")
            continue
        for found in differences(_json(old), _json(new)):
            yield Difference(f"{path} {found.path}", found.kind, found.breaks, found.text)
    channels = _json(current / "asyncapi.json")["channels"]
    for name, old_channel in _json(version / "asyncapi.json")["channels"].items():
        yield from _channel(f"{version.name} {name}", old_channel, channels.get(name))


def _channel(path: str, old: dict[str, Any], new: dict[str, Any] | None) -> Iterator[Difference]:
    """A topic keeps its key, for order, and takes all that it took. A further type is dead to services not yet new."""
    if new is None:
        yield Difference(path, "topic", "forward", "gone; old readers wait for it in vain")
        return
    if old["x-key"] != new["x-key"]:
        yield Difference(path, "key", "backward", f"{old['x-key']} -> {new['x-key']}: order per key is lost")
        yield Difference(path, "key", "forward", f"{old['x-key']} -> {new['x-key']}: order per key is lost")
    for message in sorted(old["messages"].keys() - new["messages"].keys()):
        yield Difference(path, "message", "backward", f"{message} is no longer on this topic")
    for message in sorted(new["messages"].keys() - old["messages"].keys()):
        yield Difference(path, NEW_TYPE, "forward", f"{message}; services that do not know it make it a dead letter")


def _json(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return body


def main(arguments: list[str]) -> int:
    """Check, or freeze under the given name. Exit 1 when the contract breaks a released one."""
    for version in arguments[:1]:
        print(f"frozen: {freeze(version)}")
    found = findings()
    for difference in found:
        print(f"{difference.path}: {difference.kind} breaks {difference.breaks} compatibility ({difference.text})")
    print(f"deploy first: {upgrade_first(found)}")
    return 1 if refused(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
