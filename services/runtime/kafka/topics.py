"""Creating topics from their declaration."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from schemas.topics import Topic
from services.runtime.kafka.client import asking

COPIES = 3


def create_topics(servers: str, topics: Sequence[Topic], partitions: int, replication: int = 0) -> tuple[str, ...]:
    """Create those that do not exist yet, from their declaration; names of the ones created.

    `replication` 0: three copies, or as many as there are brokers.
    """
    with asking("creating topics"):
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=15_000)
        try:
            present = set(admin.list_topics())
            missing = [t for t in topics if t.name not in present]
            copies = replication or min(COPIES, len(admin.describe_cluster()["brokers"]))
            new = {
                t.name: {
                    "num_partitions": 1 if t.single_partition else partitions,
                    "replication_factor": copies,
                    "configs": t.config() | durability(copies),
                }
                for t in missing
            }
            if new:
                with suppress(TopicAlreadyExistsError):
                    admin.create_topics(new, wait_for_metadata=True)
            return tuple(t.name for t in missing)
        finally:
            admin.close()


def durability(copies: int) -> dict[str, str]:
    """Topic settings by which an acknowledged record outlives the loss of any one broker, where copies allow it."""
    return {"min.insync.replicas": "2"} if copies >= COPIES else {}
