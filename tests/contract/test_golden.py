"""Golden events: today's fit today's contract, those of every release fit today's models and the other way round."""

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from schemas.export import EXAMPLES, GENERATED, read_examples
from schemas.messages import all_messages
from schemas.release import versions

MESSAGES = all_messages()
CURRENT = read_examples()
CASES = [pytest.param(name, data, id=f"{name}-{n}") for name, found in CURRENT.items() for n, data in enumerate(found)]
RELEASED_CASES = [
    pytest.param(name, data, id=f"{version.name}-{name}-{n}")
    for version in versions()
    for name, found in read_examples(version / "examples").items()
    for n, data in enumerate(found)
]


@cache
def validator(folder: Path, name: str) -> Draft202012Validator:
    schema = json.loads((folder / "jsonschema" / f"{name}.v1.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_every_message_has_an_example_and_every_example_a_message() -> None:
    assert CURRENT.keys() == MESSAGES.keys(), f"write {EXAMPLES.name}/<message>.json for each message"
    assert all(CURRENT.values()), "an example file is empty"


@pytest.mark.parametrize(("name", "data"), CASES)
def test_examples_fit_model_and_schema(name: str, data: dict) -> None:
    MESSAGES[name].model.model_validate_json(json.dumps(data))
    validator(GENERATED, name).validate(data)


@pytest.mark.parametrize(("name", "data"), CASES)
def test_what_is_written_reads_back_the_same_and_fits_the_schema(name: str, data: dict) -> None:
    event = MESSAGES[name].model.model_validate(data)
    written = event.model_dump_json(exclude_none=True)
    assert MESSAGES[name].model.model_validate_json(written) == event
    validator(GENERATED, name).validate(json.loads(written))


@pytest.mark.parametrize(("name", "data"), CASES)
def test_examples_hold_only_fields_of_the_contract(name: str, data: dict) -> None:
    again = json.loads(MESSAGES[name].model.model_validate(data).model_dump_json())
    assert unknown(data, again) == []


def unknown(written: object, known: object, path: str = "$") -> list[str]:
    """Fields that the model let fall: misspelt ones, since models are open."""
    if isinstance(written, dict) and isinstance(known, dict):
        lost = [f"{path}.{name}" for name in written.keys() - known.keys()]
        return lost + [p for k in written.keys() & known.keys() for p in unknown(written[k], known[k], f"{path}.{k}")]
    if isinstance(written, list) and isinstance(known, list):
        return [p for a, b in zip(written, known, strict=True) for p in unknown(a, b, f"{path}[]")]
    return []


@pytest.mark.parametrize(("name", "data"), CASES)
def test_unknown_fields_pass_and_missing_required_ones_do_not(name: str, data: dict) -> None:
    model = MESSAGES[name].model
    assert model.model_validate(data | {"added_next_year": {"x": 1}}) == model.model_validate(data)
    for field in (n for n, info in model.model_fields.items() if info.is_required()):
        less = {k: v for k, v in data.items() if k != field}
        with pytest.raises(ValidationError):
            model.model_validate(less)
        assert not validator(GENERATED, name).is_valid(less)


@pytest.mark.parametrize(("name", "data"), RELEASED_CASES)
def test_events_of_every_release_replay_through_the_present_models(name: str, data: dict) -> None:
    read = MESSAGES[name].model.model_validate_json(json.dumps(data))
    assert unknown(data, json.loads(read.model_dump_json())) == []


@pytest.mark.parametrize("version", versions(), ids=lambda version: version.name)
def test_present_events_pass_the_schemas_of_every_release(version: Path) -> None:
    released = {path.name.removesuffix(".v1.json") for path in (version / "jsonschema").iterdir()}
    for name in sorted(released & CURRENT.keys()):
        for data in CURRENT[name]:
            validator(version, name).validate(data)


def test_examples_name_no_real_address() -> None:
    for path in EXAMPLES.iterdir():
        words = path.read_text("utf-8").replace('"', " ").replace("<", " ").replace(">", " ").split()
        for address in (word for word in words if "@" in word):
            assert address.lower().rstrip(",\\").endswith(("example.com", "example.net", "example.org")), (
                path,
                address,
            )
