"""Real Kafka and PostgreSQL for the tests: the one that the environment names, else containers if asked, else embedded.

A leg that is declared and does not answer fails; nothing is skipped.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import psycopg2
import pytest

from deploy.embedded import kafka as kafka_part
from deploy.embedded import postgres as postgres_part
from deploy.embedded.parts import Parts, running_parts
from deploy.embedded.settings import EmbeddedSettings


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with ExitStack() as stack:
        named = EmbeddedSettings.model_construct(
            kafka=os.environ.get("CAUDAL_TEST_KAFKA"), postgres=os.environ.get("CAUDAL_TEST_POSTGRES")
        )
        if os.environ.get("CAUDAL_TEST_CONTAINERS") == "1":
            from tests.containers import running_containers  # its import looks for Docker

            named = stack.enter_context(running_containers(named))
        running = stack.enter_context(running_parts(tmp_path_factory.mktemp("caudal"), named))
        assert kafka_part.answers(running.kafka), f"the declared Kafka {running.kafka} does not answer"
        assert postgres_part.answers(running.postgres), "the declared PostgreSQL does not answer"
        yield running


@pytest.fixture(scope="session")
def kafka(parts: Parts) -> str:
    return parts.kafka


@pytest.fixture(scope="session")
def postgres(parts: Parts) -> str:
    return parts.postgres


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    run_alone(postgres, f'CREATE DATABASE "{name}"')
    yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
    run_alone(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


def run_alone(dsn: str, statement: str) -> None:
    """Run one statement outside any transaction, as CREATE DATABASE needs it."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()
