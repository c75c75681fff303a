"""Every preset's example, posted as its product posts it, to a running intake on real Kafka."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from schemas.events.leads import LeadReceived
from schemas.topics import LEADS_RECEIVED
from services.intake import keys
from services.intake.sources.examples import example_of
from services.intake.sources.presets import presets
from services.runtime.kafka.reader import Reader
from tests.integration.test_intake_http import publish_book, running_intake
from tests.unit.test_intake_presets import CASES, SECRET, signed

WITHIN_S = 15  # a book is in force within about a second


def test_each_presets_example_is_a_lead_on_the_topic(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({f"it-{name}": {"secret": SECRET} for name in CASES}))
    monkeypatch.setenv("CAUDAL_SOURCE_SECRETS", str(secrets))
    sources, paths = described()
    with running_intake(kafka, tmp_path / "stderr") as intake:
        publish_book(kafka, yaml.safe_dump({"sources": sources}))
        with httpx.Client(base_url=intake.url) as client:
            answers = {name: posted(client, path, name) for name, path in paths.items()}
            page = client.get("/in/it-typeform", headers={"accept": "text/html", "accept-language": "es"}).text
        assert "Enviar leads a «it-typeform»" in page
        assert {name: answer.status_code for name, answer in answers.items()} == {
            name: 302 if name == "salesforce-web-to-lead" else 200 for name in CASES}  # fmt: skip
        assert "example.org" not in intake.errors.read_text()
    found = {lead.source.removeprefix("it-"): lead for lead in leads_on(kafka) if lead.source.startswith("it-")}
    assert found.keys() == CASES.keys()
    for name, case in CASES.items():
        contact = found[name].contact.model_dump(exclude_none=True, exclude={"phone_raw"})
        assert (name, contact, found[name].answers) == (name, case.contact, case.answers)


def described() -> tuple[dict[str, Any], dict[str, str]]:
    """A source for each preset, with a key of its own where it needs one, and the path that its product posts to."""
    sources, paths = {}, {}
    for name, case in CASES.items():
        sources[f"it-{name}"] = {"preset": name, "region": "ES", **case.extra}
        paths[name] = f"/in/it-{name}"
        if "signature" not in presets()[name].source:
            key, prefix, digest = keys.new_key()
            sources[f"it-{name}"]["keys"] = [{"prefix": prefix, "sha256": digest}]
            paths[name] += f"/{key}"
    paths["hubspot-form"] += "/submissions/v3/integration/submit/7/f-1"
    return sources, paths


def posted(client: httpx.Client, path: str, name: str) -> httpx.Response:
    """The answer to the example, once the book with its source is in force."""
    example, deadline = example_of(name), time.monotonic() + WITHIN_S
    assert example is not None
    while True:
        body, headers = signed(name, example.body, int(time.time()))
        if name == "query-string":
            answer = client.get(f"{path}?{body.decode()}")
        else:
            answer = client.post(path, content=body, headers={"content-type": example.content_type} | headers)
        if answer.status_code not in (401, 503) or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def leads_on(servers: str) -> list[LeadReceived]:
    reader = Reader(servers, [LEADS_RECEIVED.name])
    found = [LeadReceived.model_validate_json(record.value or b"") for record in reader.to_end()]
    reader.close()
    return found
