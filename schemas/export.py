"""Write the contract's generated files: `python -m schemas.export`; `--check` only compares them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from schemas.asyncapi import document
from schemas.messages import SCHEMA_VERSION, all_messages, json_schema

HERE = Path(__file__).parent
GENERATED = HERE / "generated"
EXAMPLES = HERE / "examples"


def text(body: Any) -> str:
    """JSON as it is committed: two spaces, unsorted keys in the order of their making, a final line break."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def read_examples(folder: Path = EXAMPLES) -> dict[str, list[dict[str, Any]]]:
    """The golden data of each message by message name, one file each."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def files() -> dict[str, str]:
    """Every generated file: path below `generated/`, content."""
    schemas = {
        f"jsonschema/{name}.{SCHEMA_VERSION}.json": text(json_schema(message))
        for name, message in all_messages().items()
    }
    return schemas | {"asyncapi.json": text(document(read_examples()))}


def stale(folder: Path = GENERATED) -> list[str]:
    """Files that are missing, differ from what the models say, or belong to no message."""
    wanted = files()
    found = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.json")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(folder: Path = GENERATED) -> None:
    """Bring the folder up to date, removing what belongs to no message."""
    wanted = files()
    for name in stale(folder):
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], "utf-8")
        else:
            path.unlink()


def main(arguments: list[str]) -> int:
    """Write, or with `--check` name what is stale and exit 1."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m schemas.export [--check]", file=sys.stderr)
        return 2
    if arguments == []:
        write()
    outdated = stale()
    for name in outdated:
        print(f"schemas/generated/{name} is not current: run python -m schemas.export", file=sys.stderr)
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
