"""What must be on the log before the first service runs: all topics, and a version of every rule book."""

from __future__ import annotations

from pathlib import Path

from schemas.topics import all_topics, source_topic
from services.cli import books
from services.cli.installation import keep_source_keys, source_keys
from services.runtime.kafka.topics import create_topics
from services.runtime.settings import RuntimeSettings


def open_log(servers: str, home: Path) -> tuple[str, ...]:
    """Create what is missing, and keep the API keys made on the way; the sources that write their own topic."""
    settings = RuntimeSettings()
    topics = tuple(all_topics(settings.source_names(), settings.destination_names()))
    create_topics(servers, topics, settings.partitions, settings.replication)
    if keys := books.publish_missing_defaults(servers):
        keep_source_keys(home, source_keys(home) | keys)
    sources = stream_sources(servers)
    create_topics(servers, tuple(map(source_topic, sources)), settings.partitions, settings.replication)
    return sources


def stream_sources(servers: str) -> tuple[str, ...]:
    """Sources that write their own Kafka topic: of the active book, and those that `CAUDAL_SOURCES` adds."""
    return tuple(sorted({*books.kafka_sources(list(books.history(servers))), *RuntimeSettings().source_names()}))
