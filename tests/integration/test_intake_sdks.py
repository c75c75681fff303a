"""Real SDKs, unmodified, against intake on real Kafka: each event once, also after failures; a wrong key is told."""

from __future__ import annotations

import base64
import json
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import standardwebhooks
import svix.webhooks
import yaml
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from schemas.events.event import derived_id
from schemas.topics import ACTIVITIES_RECEIVED, LEADS_RECEIVED
from services.intake import keys
from tests.integration.test_intake_http import Intake, ids_on_log, running_intake
from tests.real_clients import SDKS, Play, between, installed, play

SIGNING = "whsec_" + base64.b64encode(b"a key of the tests, 24 b").decode()
CALLS = ("track", "track", "identify", "track", "identify", "track")
TRIALS = ("once", "twice", "refused", "unanswered", "wrong-key")


@dataclass(frozen=True)
class Outcome:
    """What the clients were told by trial and SDK, how often each id stands on the log, what was not installed."""

    told: Mapping[tuple[str, str], Sequence[str]]
    seen: Counter[str]
    missing: Mapping[str, str]


def ids(source: str) -> list[str]:
    """The ids that the events of a play must have on the log."""
    kinds = ("submission" if call == "track" else "activity" for call in CALLS)
    return [derived_id(f"{source}|m-{n}", kind) for n, kind in enumerate(kinds)]


def book(run: str) -> tuple[str, dict[str, str]]:
    """A book with one source for each trial of each SDK, and their keys."""
    texts: dict[str, str] = {}
    made: dict[str, Any] = {f"{run}-hook": {"preset": "standard-webhooks"}}
    for name in (*(f"{run}-{trial}-{sdk}" for trial in TRIALS for sdk in SDKS), f"{run}-shop"):
        texts[name], prefix, digest = keys.new_key()
        preset = "cloudevents" if name.endswith("-shop") else "segment"
        made[name] = {"preset": preset, "keys": [{"prefix": prefix, "sha256": digest}]}
    return yaml.safe_dump({"sources": made}), texts


@dataclass(frozen=True)
class Stand:
    """A running intake whose sources' names all begin with `run`."""

    intake: Intake
    kafka: str
    run: str
    texts: Mapping[str, str]

    def source(self, trial: str, sdk: str) -> str:
        return f"{self.run}-{trial}-{sdk}"

    def key(self, trial: str, sdk: str) -> str:
        return "no key of ours" if trial == "wrong-key" else self.texts[self.source(trial, sdk)]

    def events(self, trial: str, sdk: str) -> list[dict[str, str]]:
        """What a client sends; few with a wrong key, for one address is allowed only some failures a minute."""
        domain = f"{self.source(trial, sdk)}.example.com"
        sent = [{"call": call, "id": f"m-{n}", "email": f"p{n}@{domain}"} for n, call in enumerate(CALLS)]
        return sent[:2] if trial == "wrong-key" else sent

    def host(self, trial: str, stack: ExitStack) -> str:
        """Where the clients of a trial send to: one address each."""
        failures = {"refused": {"refuse": 2}, "unanswered": {"lose": 2}}.get(trial)
        return stack.enter_context(between(self.intake.url, **failures)) if failures else self.intake.url

    def on_log(self) -> Counter[str]:
        return Counter(
            id_ for topic in (LEADS_RECEIVED, ACTIVITIES_RECEIVED) for id_ in ids_on_log(self.kafka, topic.name)
        )


@pytest.fixture(scope="module")
def stand(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder, run = tmp_path_factory.mktemp("sdks"), f"r{uuid.uuid4().hex[:6]}"
    secrets = folder / "secrets.json"
    secrets.write_text(json.dumps({f"{run}-hook": {"secret": [SIGNING]}}))
    body, texts = book(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUDAL_SOURCE_SECRETS", str(secrets))
        with running_intake(kafka, folder / "stderr", body) as intake:
            yield Stand(intake, kafka, run, texts)


@pytest.fixture(scope="module")
def played(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every trial of every SDK, all at the same time."""
    programs = installed(tmp_path_factory.mktemp("installed"))
    with ExitStack() as stack:
        plays = [
            (trial, sdk, Play(stand.key(trial, sdk), stand.host(trial, stack), gzip, stand.events(trial, sdk)))
            for trial in (*TRIALS, "twice")
            for sdk, (_, gzip) in SDKS.items()
        ]

        def run(module: str) -> list[tuple[tuple[str, str], list[str]]]:
            own = [one for one in plays if SDKS[one[1]][0] == module]
            answers = play(programs[module], [one for _, _, one in own])
            return [((trial, sdk), told) for (trial, sdk, _), told in zip(own, answers, strict=True)]

        with ThreadPoolExecutor(len(programs)) as pool:
            told = dict(answer for answers in pool.map(run, programs) for answer in answers)
    return Outcome(told, stand.on_log(), {module: program.missing for module, program in programs.items()})


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest, played: Outcome) -> str:
    name: str = request.param
    missing = played.missing[SDKS[name][0]]
    if missing:
        warnings.warn(f"{name} was NOT tried: it could not be installed: {missing}", stacklevel=1)
        pytest.skip(f"could not be installed: {missing}")
    return name


@pytest.mark.parametrize("trial", ["once", "refused"])
def test_each_event_of_an_sdk_is_on_the_log_once_also_after_a_503(
    stand: Stand, played: Outcome, sdk: str, trial: str
) -> None:
    assert [played.seen[one] for one in ids(stand.source(trial, sdk))] == [1] * len(CALLS)
    assert played.told[trial, sdk] == []


@pytest.mark.parametrize("trial", ["twice", "unanswered"])
def test_an_sdk_that_sends_again_gives_no_new_id(stand: Stand, played: Outcome, sdk: str, trial: str) -> None:
    sent = [played.seen[one] for one in ids(stand.source(trial, sdk))]
    assert all(sent)
    assert sum(sent) > len(sent)
    assert played.told[trial, sdk] == []


def test_an_sdk_with_a_wrong_key_gives_up_and_is_told_why(stand: Stand, played: Outcome, sdk: str) -> None:
    said = played.told["wrong-key", sdk]
    assert said
    assert all("401" in why for why in said)
    if sdk != "node":  # which knows the code alone
        assert all("no valid write key" in why for why in said)


def test_with_a_wrong_key_nothing_is_on_the_log_and_nothing_of_a_person_in_what_intake_says(
    stand: Stand, played: Outcome
) -> None:
    assert not any(played.seen[one] for sdk in SDKS for one in ids(stand.source("wrong-key", sdk)))
    assert "example.com" not in stand.intake.errors.read_text()


@pytest.mark.parametrize("form", [to_binary_event, to_structured_event])
def test_an_event_of_the_cloudevents_package_is_a_lead_once_in_either_form(stand: Stand, form: Any) -> None:
    source, name = f"{stand.run}-shop", form.__name__
    attributes = {
        "id": f"café {name}", "source": "https://shop.example.com/1", "type": "com.example.lead", "specversion": "1.0",
        "time": datetime(2026, 3, 1, tzinfo=UTC), "datacontenttype": "application/json", "region": "north west",
    }  # fmt: skip
    message = form(CloudEvent(attributes, {"email": "ana@example.com", "name": "Ana Pérez"}))
    for _ in range(2):
        address = f"{stand.intake.url}/in/{source}/{stand.texts[source]}"
        answer = httpx.post(address, content=message.body, headers=message.headers)
        expected = derived_id(f"{source}|https://shop.example.com/1 café {name}", "submission")
        assert (answer.status_code, answer.json()["id"]) == (200, expected)
    assert stand.on_log()[expected] == 2


@pytest.mark.parametrize("package", [standardwebhooks, svix.webhooks])
def test_a_webhook_signed_by_its_own_package_is_a_lead_once_and_with_another_secret_none(
    stand: Stand, package: Any
) -> None:
    source, name, now = f"{stand.run}-hook", package.__name__, datetime.now(UTC)
    body = json.dumps({"type": "lead.created", "data": {"email": "ana@example.com"}})
    other = "whsec_" + base64.b64encode(b"another key of the tests").decode()
    answers = []
    for secret in (SIGNING, SIGNING, other):
        signed = {
            "webhook-id": name.replace(".", "_"), "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": package.Webhook(secret).sign(name.replace(".", "_"), now, body),
        }  # fmt: skip
        answers.append(httpx.post(f"{stand.intake.url}/in/{source}", content=body, headers=signed))
    expected = derived_id(f"{source}|{name.replace('.', '_')}", "submission")
    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert answers[2].json()["code"] == "bad_signature"
    assert {answer.json()["id"] for answer in answers[:2]} == {expected}
    assert stand.on_log()[expected] == 2
