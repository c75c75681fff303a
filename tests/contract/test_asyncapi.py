"""The AsyncAPI document, judged by the standard's own parser where Node is present."""

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from schemas.asyncapi import CONTRACT_VERSION
from schemas.export import GENERATED
from schemas.topics import all_topics, destination_leads

HERE = Path(__file__).parent
DOCUMENT = GENERATED / "asyncapi.json"


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node and npm are not here: the document was not shown to the AsyncAPI parser")
    folder = tmp_path_factory.mktemp("asyncapi")
    shutil.copytree(HERE / "asyncapi", folder, dirs_exist_ok=True)
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"npm could not install the AsyncAPI parser: {done.stderr.strip()[-300:]}")
    return folder


def parse(parser: Path, document: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", "validate.mjs", os.fspath(document)]
    return subprocess.run(command, cwd=parser, capture_output=True, text=True, timeout=120)


def test_the_parser_accepts_the_document(parser: Path) -> None:
    done = parse(parser, DOCUMENT)
    assert done.returncode == 0, done.stdout + done.stderr


def break_action(document: dict) -> None:
    next(iter(document["operations"].values()))["action"] = "sned"


def break_reference(document: dict) -> None:
    document["components"]["messages"]["lead.assigned"]["payload"]["$ref"] += "s"


def break_setting(document: dict) -> None:
    document["channels"]["leads.assigned.v1"]["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] = "long"


@pytest.mark.parametrize("spoil", [break_action, break_reference, break_setting])
def test_the_parser_rejects_a_spoilt_document(parser: Path, tmp_path: Path, spoil) -> None:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    spoil(document)
    spoilt = tmp_path / "asyncapi.json"
    spoilt.write_text(json.dumps(document), "utf-8")
    done = parse(parser, spoilt)
    assert done.returncode == 1, done.stdout + done.stderr


def test_every_topic_is_a_channel_with_its_settings_and_parties() -> None:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    for topic in all_topics():
        channel = document["channels"][topic.name]
        configuration = channel["bindings"]["kafka"]["topicConfiguration"]
        as_kafka_takes_them = {k: ",".join(v) if isinstance(v, list) else str(v) for k, v in configuration.items()}
        assert as_kafka_takes_them == topic.config()
        parties = {(o["tags"][0]["name"], o["action"]) for o in document["operations"].values()
                   if o["channel"]["$ref"] == f"#/channels/{topic.name}"}  # fmt: skip
        assert parties == {(w, "send") for w in topic.writers} | {(r, "receive") for r in topic.readers}


def test_topics_of_destinations_are_channels_with_a_parameter() -> None:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    channel = document["channels"][destination_leads("{destination}").name]
    assert channel["address"] == "crm.{destination}.leads.v1"
    assert list(channel["parameters"]) == ["destination"]
    assert "lead.assigned" in channel["messages"]


def test_the_document_and_the_package_have_one_version() -> None:
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == CONTRACT_VERSION
