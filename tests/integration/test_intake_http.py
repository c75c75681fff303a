"""Intake as a process of its own, on real Kafka: what is answered 200 is on the log, and nothing stops the service."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.embedded.children import Children
from deploy.embedded.home import locked_home
from deploy.embedded.parts import prepare_parts
from deploy.embedded.settings import EmbeddedSettings
from schemas import codec, tokens
from schemas.events.event import derived_id
from schemas.events.operations import RulesActivated, RulesPublished
from schemas.identity import address_hash
from schemas.topics import CATALOGUE, CONSENTS_RECEIVED, LEADS_RECEIVED, RULES_PUBLISHED
from services.intake import keys
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.rulebook import book_version
from services.runtime.transport import Message

SECRET = "a secret of the tests, 32 letters"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Intake:
    """A running intake."""

    url: str
    key: str
    process: subprocess.Popen[bytes]
    errors: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def post(self, content: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/leads", content=content, headers=self.headers, timeout=20)


def publish_book(servers: str, body: str) -> None:
    now, version = datetime.now(UTC), book_version("sources", body)
    cause = derived_id(version, now.isoformat())
    base = {"occurred_at": now, "recorded_at": now, "cause_id": cause, "correlation_id": cause}
    events = [
        RulesPublished(**base, book="sources", book_version=version, body=body, author="test"),
        RulesActivated(**base, book="sources", book_version=version, author="test"),
    ]
    producer = LogProducer(servers, "test")
    for event in events:
        headers = codec.write(derived_id(cause, event.types[0]), event.types[0], "test")
        value = event.model_dump_json().encode()
        producer.publish([Message(RULES_PUBLISHED.name, b"sources", value, headers)], lambda: True)
    producer.close()


def ids_on_log(servers: str, topic: str) -> list[str]:
    reader = Reader(servers, [topic])
    found = [dict(record.headers)["ce_id"].decode() for record in reader.to_end()]
    reader.close()
    return found


@contextmanager
def running_intake(servers: str, errors: Path, book: str | None = None, key: str = "") -> Iterator[Intake]:
    """Topics, a book with one key (or yours), and the service; a clean stop at the end."""
    create_topics(servers, CATALOGUE, partitions=3)
    if book is None:
        key, prefix, digest = keys.new_key()
        book = f"sources:\n  website: {{keys: [{{prefix: {prefix}, sha256: '{digest}'}}], region: ES}}\n"
    publish_book(servers, book)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {"CAUDAL_KAFKA": servers, "CAUDAL_SECRET": SECRET, "CAUDAL_INTAKE_PORT": str(port)}
    with errors.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "services.intake"], cwd=ROOT, env=env, stderr=out)
        intake = Intake(f"http://127.0.0.1:{port}", key, process, errors)
        try:
            wait_until_ready(intake)
            yield intake
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)


def wait_until_ready(intake: Intake, status: int = 200, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{intake.url}/readyz").status_code == status:
                return
        except httpx.TransportError:
            assert intake.process.poll() is None, intake.errors.read_text()
        time.sleep(0.1)
    raise AssertionError(f"/readyz was not {status} within {seconds} s: {intake.errors.read_text()}")


@pytest.fixture(scope="module")
def intake(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with running_intake(kafka, tmp_path_factory.mktemp("intake") / "stderr") as running:
        yield running


def test_every_200_is_on_the_log_under_the_id_that_was_answered(intake: Intake, kafka: str) -> None:
    def send(n: int) -> str:
        return str(
            intake.post(json.dumps({"email": f"person{n}@example.com"}).encode()).raise_for_status().json()["id"]
        )

    with ThreadPoolExecutor(16) as pool:
        answered = list(pool.map(send, range(200)))
    batch = intake.post(json.dumps([{"email": f"batch{n}@example.com"} for n in range(1000)]).encode()).json()
    answered += [result["id"] for result in batch["results"]]
    assert len(set(answered)) == 1200
    assert set(answered) <= set(ids_on_log(kafka, LEADS_RECEIVED.name))


def test_unsubscribe_is_on_the_log_when_it_is_answered(intake: Intake, kafka: str) -> None:
    token = tokens.sign(SECRET, address_hash(SECRET, "email", "ana@example.com"), "email", "marketing")
    before = len(ids_on_log(kafka, CONSENTS_RECEIVED.name))
    response = httpx.post(f"{intake.url}/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert (response.status_code, response.content) == (200, b"")
    assert httpx.get(f"{intake.url}/u/{token}").status_code == 200
    assert len(ids_on_log(kafka, CONSENTS_RECEIVED.name)) == before + 1


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"7", 422), (b'{"email": "hidden@example.com\xff"}', 400), (b"[" * 100_000, 400),
     (b'{"email": "hidden@example.com' + b"x" * 10_485_760 + b'"}', 413),
     (b'{"name": {"a": "hidden@example.com"}}', 422)],
)  # fmt: skip
def test_bad_input_is_refused_and_the_service_lives_and_logs_none_of_it(
    intake: Intake, content: bytes, status: int
) -> None:
    response = intake.post(content)
    assert response.status_code == status
    assert response.json().keys() >= {"code", "message"}
    assert intake.post(b'{"email": "ana@example.com"}').status_code == 200
    assert "example.com" not in intake.errors.read_text()


def test_a_wrong_key_is_refused_and_not_logged(intake: Intake) -> None:
    for key in ("", "cdl_x", intake.key[:-3] + "xyz"):
        assert httpx.post(f"{intake.url}/v1/leads", content=b"{}", headers={"x-api-key": key}).status_code == 401
    assert intake.key[13:30] not in intake.errors.read_text()


def begin_post(intake: Intake, length: int) -> http.client.HTTPConnection:
    """A request whose head is sent and whose body is not."""
    connection = http.client.HTTPConnection(intake.url.removeprefix("http://"), timeout=5)
    connection.putrequest("POST", "/v1/leads")
    connection.putheader("authorization", intake.headers["authorization"])
    connection.putheader("content-length", str(length))
    connection.endheaders()
    return connection


def test_a_body_announced_as_10_gb_is_refused_before_it_comes(intake: Intake) -> None:
    connection = begin_post(intake, 10 * 2**30)
    response = connection.getresponse()
    assert (response.status, response.getheader("connection")) == (413, "close")
    connection.close()


def test_a_body_without_end_is_cut_at_the_limit(intake: Intake) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b'"' + b"x" * 65_536

    try:
        status = httpx.post(f"{intake.url}/v1/leads", content=endless(), headers=intake.headers, timeout=20).status_code
    except httpx.TransportError:
        status = 413  # the connection was cut before the client looked for the answer
    assert status == 413
    assert intake.post(b'{"email": "ana@example.com"}').status_code == 200


def test_a_new_book_counts_without_a_restart(intake: Intake, kafka: str) -> None:
    key, prefix, digest = keys.new_key()
    old_prefix, old_digest = intake.key[4:12], sha256(intake.key[13:].encode()).hexdigest()
    rows = ", ".join(f"{{prefix: {p}, sha256: '{d}'}}" for p, d in ((prefix, digest), (old_prefix, old_digest)))
    publish_book(kafka, f"sources:\n  website: {{keys: [{rows}], region: ES}}\n")
    deadline = time.monotonic() + 10
    status = 401
    while status == 401 and time.monotonic() < deadline:
        status = httpx.post(
            f"{intake.url}/v1/leads", content=b'{"phone": "600000012"}', headers={"x-api-key": key}
        ).status_code
    assert status == 200
    assert intake.post(b'{"phone": "600000012"}').status_code == 200


def test_a_stop_answers_what_has_begun(kafka: str, tmp_path: Path) -> None:
    body = b'{"email": "ana@example.com"}'
    with running_intake(kafka, tmp_path / "stderr") as intake:
        connection = begin_post(intake, len(body))
        connection.send(body[:10])
        time.sleep(0.3)
        intake.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.send(body[10:])
        response = connection.getresponse()
        assert response.status == 200
        assert json.load(response)["id"] in ids_on_log(kafka, LEADS_RECEIVED.name)
        assert intake.process.wait(15) == 0


def test_without_the_broker_there_is_a_quick_503_and_with_it_again_a_200(tmp_path: Path) -> None:
    settings = EmbeddedSettings.model_construct(kafka=None, postgres="postgresql://not.used.example.com/none")
    with locked_home(tmp_path / "home") as home:
        parts, specs = prepare_parts(home, settings)
        broker = Children(home)
        try:
            broker.start(specs)
            broker.wait_ready()
            with running_intake(parts.kafka, tmp_path / "stderr") as intake:
                assert intake.post(b'{"email": "ana@example.com"}').status_code == 200
                broker.stop([spec.name for spec in specs])
                _answers_503_while_alive(intake)
                broker.start(specs)
                broker.wait_ready()
                wait_until_ready_again(intake)
                assert "example.com" not in intake.errors.read_text()
        finally:
            broker.stop([spec.name for spec in specs])


def _answers_503_while_alive(intake: Intake) -> None:
    answers: list[tuple[float, httpx.Response]] = []

    def send() -> None:
        began = time.monotonic()
        response = intake.post(b'{"email": "ana@example.com"}')
        answers.append((time.monotonic() - began, response))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    probes = []
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert httpx.get(f"{intake.url}/healthz", timeout=5).status_code == 200
        assert httpx.get(f"{intake.url}/in/website", timeout=5).status_code == 200  # handshakes need no broker
        probes.append(time.monotonic() - began)
        time.sleep(0.1)
    assert [(r.status_code, r.json()["code"]) for _, r in answers] == [(503, "unavailable")] * 4
    assert all(int(r.headers["retry-after"]) > 0 for _, r in answers)
    slowest = max(seconds for seconds, _ in answers)
    assert slowest < 8
    assert max(probes) < slowest / 2  # who waits for the broker holds up nobody else
    began = time.monotonic()
    assert intake.post(b'{"email": "ana@example.com"}').status_code == 503
    assert time.monotonic() - began < 6


def wait_until_ready_again(intake: Intake) -> None:
    deadline = time.monotonic() + 30
    while intake.post(b'{"email": "ana@example.com"}').status_code != 200:
        assert time.monotonic() < deadline, intake.errors.read_text()
        time.sleep(0.2)


def test_workers_that_share_the_port_leave_with_the_process_that_started_them(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_INTAKE_WORKERS", "2")
    with running_intake(kafka, tmp_path / "stderr") as running:
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(family) >= 2
        running.process.kill()
        assert psutil.wait_procs(family, timeout=30)[1] == []
