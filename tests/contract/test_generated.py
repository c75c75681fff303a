"""The generated files say what the models say."""

import json
from pathlib import Path

import pytest

from schemas.compatibility import KEYWORDS
from schemas.export import GENERATED, main, stale, write
from schemas.messages import all_messages, json_schema

MESSAGES = list(all_messages().values())


def test_generated_files_are_current() -> None:
    assert stale() == [], "run python -m schemas.export"


def test_check_alone_writes_nothing() -> None:
    before = {path: path.stat().st_mtime_ns for path in GENERATED.rglob("*")}
    assert main(["--check"]) == 0
    assert {path: path.stat().st_mtime_ns for path in GENERATED.rglob("*")} == before


def test_stale_missing_and_orphan_files_are_named_and_mended(tmp_path: Path) -> None:
    write(tmp_path)
    changed, missing, orphan = (
        tmp_path / "jsonschema" / f"{n}.v1.json" for n in ("lead.won", "lead.lost", "lead.dreamt")
    )
    changed.write_text("{}")
    missing.unlink()
    orphan.write_text("{}")
    assert stale(tmp_path) == [f"jsonschema/{p.name}" for p in sorted((changed, missing, orphan))]
    write(tmp_path)
    assert stale(tmp_path) == []


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_writers_promise_what_readers_expect(message) -> None:
    written = message.model.model_json_schema(mode="serialization")
    assert written == message.model.model_json_schema(mode="validation")


def inner(schema: object):
    """Every object in a schema whose keys are keywords."""
    if isinstance(schema, list):
        for part in schema:
            yield from inner(part)
    if isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            named = keyword in ("properties", "$defs")
            yield from inner(list(value.values()) if named else value if keyword != "default" else None)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_schemas_are_open_and_use_only_keywords_that_the_compatibility_checker_knows(message) -> None:
    for part in inner(json_schema(message)):
        assert part.keys() <= KEYWORDS
        assert part.get("additionalProperties") is not False


@pytest.mark.parametrize("path", sorted((GENERATED / "jsonschema").iterdir()), ids=lambda path: path.stem)
def test_every_schema_has_its_own_id(path: Path) -> None:
    name = path.name.removesuffix(".v1.json")
    assert json.loads(path.read_text("utf-8"))["$id"] == f"urn:caudal:{name}:v1"
