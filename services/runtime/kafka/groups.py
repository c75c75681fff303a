"""How far consumer groups are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from services.runtime.kafka.client import REQUEST_MS, asking
from services.runtime.transport import Partition


class GroupLags:
    """How far consumer groups are behind. Belongs to one thread."""

    def __init__(self, servers: str) -> None:
        with asking("opening an admin client"):
            self._admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)
            self._client = KafkaConsumer(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)

    def records(self, groups: Sequence[str]) -> Mapping[str, int]:
        """Records that each group has still to read and commit; a group of which nothing is known is left out.

        What counts is what a group's members subscribe to, or, while there are none, what they committed before: a
        topic that nobody in the group reads keeps nobody waiting.
        """
        with asking("asking for committed offsets"):
            committed = self._admin.list_group_offsets(list(groups))
            described = self._admin.describe_groups(list(groups))
            read = {g: _subscribed(described[g]) or {tp.topic for tp in committed.get(g, {})} for g in groups}
            topics = sorted(set().union(*read.values()))
            found = [TopicPartition(t, p) for t in topics for p in self._client.partitions_for_topic(t) or ()]
            starts, ends = self._client.beginning_offsets(found), self._client.end_offsets(found)
        return {
            group: sum(max(0, ends[tp] - max(starts[tp], _offset(committed.get(group, {}).get(tp))))
                       for tp in found if tp.topic in names)
            for group, names in read.items() if names
        }  # fmt: skip

    def close(self) -> None:
        """Let go of the connections."""
        with suppress(KafkaError, OSError):
            self._client.close()
            self._admin.close()


def _subscribed(group: Mapping[str, Any]) -> set[str]:
    """Topics that the members of a described group read; while they join, none is told."""
    told = (member["member_metadata"] for member in group["members"])
    return {topic for subscription in told if isinstance(subscription, Mapping) for topic in subscription["topics"]}


def _offset(committed: OffsetAndMetadata | None) -> int:
    return committed.offset if committed else -1


def group_offsets(servers: str, group: str) -> dict[Partition, int]:
    """Committed offset of each partition that a consumer group ever committed; empty for a group that never did."""
    with asking("asking for committed offsets"):
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=15_000)
        try:
            found = admin.list_group_offsets(group)[group]
        finally:
            admin.close()
    return {(tp.topic, tp.partition): at.offset for tp, at in found.items() if at.offset >= 0}


class GroupDistance:
    """How far some groups are behind on one topic each, for who asks many times a second. Belongs to one thread."""

    def __init__(self, servers: str, reading: Sequence[tuple[str, str]]) -> None:
        self._groups = [group for group, _ in reading]
        with asking("opening an admin client"):
            self._admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)
            self._client = KafkaConsumer(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)
            self._partitions = {
                group: [TopicPartition(topic, p) for p in sorted(self._client.partitions_for_topic(topic) or ())]
                for group, topic in reading
            }
            self._found: list[TopicPartition] = [tp for found in self._partitions.values() for tp in found]
            self._starts = self._client.beginning_offsets(self._found)

    def records(self) -> dict[str, int]:
        """Records that each group has still to read and commit. Raises `Unavailable`."""
        with asking("asking how far a group is"):
            ends = self._client.end_offsets(self._found)  # before the commits: what comes in between is not ahead
            committed = self._admin.list_group_offsets(self._groups)
        behind = {}
        for group in self._groups:
            at = committed.get(group, {})
            read = ((tp, max(self._starts[tp], _offset(at.get(tp)))) for tp in self._partitions[group])
            behind[group] = sum(max(0, ends[tp] - offset) for tp, offset in read)
        return behind

    def close(self) -> None:
        """Let go of the connections."""
        with suppress(KafkaError, OSError):
            self._client.close()
            self._admin.close()
