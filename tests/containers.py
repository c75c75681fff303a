"""Kafka and PostgreSQL in containers, for CAUDAL_TEST_CONTAINERS=1; the images can be named by the environment."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.embedded.ports import free_port
from deploy.embedded.settings import EmbeddedSettings

KAFKA_IMAGE = os.environ.get("CAUDAL_TEST_KAFKA_IMAGE", "apache/kafka:4.3.1")
POSTGRES_IMAGE = os.environ.get("CAUDAL_TEST_POSTGRES_IMAGE", "postgres:18")


@contextmanager
def running_containers(named: EmbeddedSettings) -> Iterator[EmbeddedSettings]:
    """Run in a container each part that `named` does not name, and name it."""
    with ExitStack() as stack:
        kafka, postgres = named.kafka, named.postgres
        if not postgres:
            server = stack.enter_context(PostgresContainer(POSTGRES_IMAGE, driver=None))
            postgres = server.get_connection_url()
        if not kafka:
            port = free_port()  # picked first, because the broker must advertise it
            stack.enter_context(_broker(port))
            kafka = f"127.0.0.1:{port}"
        yield EmbeddedSettings.model_construct(kafka=kafka, postgres=postgres)


def _broker(port: int) -> DockerContainer:
    broker = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
    settings = {
        "PROCESS_ROLES": "broker,controller",
        "NODE_ID": "1",
        "CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "MESSAGE_MAX_BYTES": str(8 * 1024 * 1024),
    }
    for name, value in settings.items():
        broker.with_env(f"KAFKA_{name}", value)
    return broker.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120))
