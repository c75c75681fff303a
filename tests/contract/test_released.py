"""The present contract can be read by, and can read, every released one."""

import json
import shutil
from pathlib import Path

import pytest

from schemas.compatibility import upgrade_first
from schemas.export import GENERATED
from schemas.release import NEW_TYPE, RELEASED, findings, freeze, refused, versions


def test_a_release_is_frozen() -> None:
    assert [path.name for path in versions()][:1] == ["v0.1"]


def test_the_present_contract_is_compatible_with_every_release() -> None:
    broken = refused(findings())
    assert broken == [], f"deploy first: {upgrade_first(broken)}"


def test_what_is_released_never_changes(tmp_path: Path) -> None:
    freeze("v9.9", tmp_path)
    assert refused(findings(tmp_path)) == []
    with pytest.raises(FileExistsError):
        freeze("v9.9", tmp_path)


def spoilt(tmp_path: Path, name: str, change) -> Path:
    """The generated contract with one file changed."""
    folder = tmp_path / "generated"
    shutil.copytree(GENERATED, folder)
    body = json.loads((folder / name).read_text("utf-8"))
    change(body)
    (folder / name).write_text(json.dumps(body), "utf-8")
    return folder


def frozen(tmp_path: Path) -> Path:
    freeze("v1.0", tmp_path / "released")
    return tmp_path / "released"


def test_a_required_field_more_is_refused_and_said_to_need_producers_first(tmp_path: Path) -> None:
    current = spoilt(tmp_path, "jsonschema/lead.won.v1.json", lambda body: body["required"].append("value"))
    found = refused(findings(frozen(tmp_path), current))
    assert [(d.path, d.kind, d.breaks) for d in found] == [("v1.0 lead.won.v1 $.value", "required", "backward")]
    assert upgrade_first(found).startswith("producers")


def test_another_key_is_refused_as_no_order_of_deployment_saves_it(tmp_path: Path) -> None:
    def rekey(body: dict) -> None:
        body["channels"]["leads.assigned.v1"]["x-key"] = "person id"

    found = refused(findings(frozen(tmp_path), spoilt(tmp_path, "asyncapi.json", rekey)))
    assert {(d.kind, d.breaks) for d in found} == {("key", "backward"), ("key", "forward")}
    assert upgrade_first(found).startswith("neither")


def test_a_topic_or_a_type_that_goes_away_is_refused(tmp_path: Path) -> None:
    def remove(body: dict) -> None:
        del body["channels"]["insights.alerts.v1"]
        del body["channels"]["leads.touches.v1"]["messages"]["touch.sent"]

    current = spoilt(tmp_path, "asyncapi.json", remove)
    (current / "jsonschema" / "touch.failed.v1.json").unlink()
    found = refused(findings(frozen(tmp_path), current))
    assert {(d.path, d.kind) for d in found} == {
        ("v1.0 insights.alerts.v1", "topic"), ("v1.0 leads.touches.v1", "message"), ("v1.0 touch.failed.v1", "message"),
    }  # fmt: skip


def test_a_new_event_type_is_allowed_and_said_to_need_consumers_first(tmp_path: Path) -> None:
    def add(body: dict) -> None:
        body["channels"]["leads.qualified.v1"]["messages"]["lead.praised"] = {}

    found = findings(frozen(tmp_path), spoilt(tmp_path, "asyncapi.json", add))
    assert refused(found) == []
    assert [d.kind for d in found] == [NEW_TYPE]
    assert upgrade_first(found) == "consumers"


def test_each_release_has_schemas_examples_and_the_document() -> None:
    for version in versions(RELEASED):
        schemas = {path.name.removesuffix(".v1.json") for path in (version / "jsonschema").iterdir()}
        assert schemas == {path.stem for path in (version / "examples").iterdir()}
        assert (version / "asyncapi.json").is_file()
