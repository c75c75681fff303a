"""The embedded Kafka and PostgreSQL, for real: kept data, kills, orphans."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from deploy.embedded import kafka as kafka_part
from deploy.embedded import postgres as postgres_part
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.parts import running_parts
from deploy.embedded.supervisor import State, read_state, start_detached, stop_detached

UP = (
    sys.executable,
    "-c",
    "from deploy.embedded.settings import EmbeddedSettings\n"
    "from deploy.embedded.supervisor import supervise\n"
    "supervise(EmbeddedSettings(), lambda parts: [])",
)


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, State]]:
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
    monkeypatch.delenv("CAUDAL_KAFKA", raising=False)
    monkeypatch.delenv("CAUDAL_POSTGRES", raising=False)
    yield tmp_path, start_detached(tmp_path, UP)
    stop_detached(tmp_path)


def test_data_and_addresses_are_kept_when_the_parts_stop_and_start_again(tmp_path: Path) -> None:
    with running_parts(tmp_path) as first:
        remember(first.kafka, first.postgres)
    with running_parts(tmp_path) as second:
        assert second == first
        assert remembered(second.kafka, second.postgres) == (b"kept", "kept")


def test_killed_broker_and_database_come_back_on_their_addresses_with_their_data(up: tuple[Path, State]) -> None:
    home, state = up
    assert state.kafka is not None
    assert state.postgres is not None
    remember(state.kafka, state.postgres)
    for child in state.children:
        os.kill(child.pid, signal.SIGKILL)
    until(lambda: [child.restarts for child in living(home).children] == [1, 1])
    assert remembered(state.kafka, state.postgres) == (b"kept", "kept")


def test_killed_supervisor_leaves_no_orphan_and_the_next_start_takes_over(up: tuple[Path, State]) -> None:
    home, state = up
    family = psutil.Process(state.pid).children(recursive=True)
    assert {"java", "postgres"} <= {one.name() for one in family}
    os.kill(state.pid, signal.SIGKILL)
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert read_state(home) is None
    assert start_detached(home, UP).kafka == state.kafka


def test_second_start_on_a_home_says_that_one_runs_there(up: tuple[Path, State]) -> None:
    home, state = up
    with pytest.raises(EmbeddedError, match="already runs on"):
        start_detached(home, UP)
    assert living(home) == state


def remember(kafka: str, postgres: str) -> None:
    """Leave one record and one row."""
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        admin.create_topics({"kept.v1": {"num_partitions": 1, "replication_factor": 1}})
    with contextlib.closing(KafkaProducer(bootstrap_servers=kafka, acks="all")) as producer:
        producer.send("kept.v1", b"kept").get(10)
    with contextlib.closing(psycopg2.connect(postgres)) as session, session, session.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 'kept' AS word")


def remembered(kafka: str, postgres: str) -> tuple[bytes, str]:
    """Read them back, once both answer."""
    until(lambda: kafka_part.answers(kafka) and postgres_part.answers(postgres))
    with contextlib.closing(psycopg2.connect(postgres)) as session, session.cursor() as cursor:
        cursor.execute("SELECT word FROM kept")
        row = cursor.fetchall()
    with contextlib.closing(
        KafkaConsumer("kept.v1", bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=15_000)
    ) as consumer:
        return next(consumer).value, row[0][0]


def living(home: Path) -> State:
    state = read_state(home)
    assert state is not None
    return state


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.1)
