"""`caudal topics`: what is declared."""

from __future__ import annotations

from schemas.topics import Topic, all_topics
from services.cli.configured import configured
from services.cli.tables import show, table
from services.runtime.settings import RuntimeSettings


def topics() -> None:
    """List the topics: key, events, who writes and reads, how long records stay.

    Example: caudal topics
    """
    settings = configured(RuntimeSettings, "sources", "destinations")
    listed = table("topic", "key", "events", "written by", "read by", "kept")
    for topic in all_topics(settings.source_names(), settings.destination_names()):
        events = ", ".join(topic.events) or "theirs"
        listed.add_row(topic.name, topic.key, events, ", ".join(topic.writers), ", ".join(topic.readers), kept(topic))
    show(listed)


def kept(topic: Topic) -> str:
    """How long records stay on a topic."""
    if topic.compacted:
        return "last of each key"
    return "for ever" if topic.retention_days is None else f"{topic.retention_days} days"
