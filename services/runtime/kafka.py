"""Kafka behind the transport protocol. Only this module, `header_names` and intake's gateway import kafka-python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from zlib import crc32

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.partitioner import Partitioner
from kafka.structs import OffsetAndMetadata

from schemas.topics import MAX_DEAD_LETTER_BYTES, Topic
from services.runtime.errors import Unavailable
from services.runtime.header_names import tolerate
from services.runtime.transport import Message, Partition, Record

log = structlog.get_logger()
REQUEST_MS = 4000
LAST_MS = 253_402_300_799_000  # the last second of the year 9999
RECONNECT_MS = 1000  # the client's own limit is 30 s: a broker that is back must be found at once
DELIVERY_MS = 5000
LINGER_MS = 50
PATIENT_MS, PATIENT_BYTES = 200, 200_000
COPIES = 3
IN_FLIGHT = 2000  # futures that wait for an acknowledgement at once; kafka-python bounds no memory itself


@contextmanager
def _kafka(doing: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError, AssertionError) as error:
        raise Unavailable(f"Kafka failed while {doing}: {type(error).__name__}: {error}") from error


class GroupConsumer:
    """A member of a consumer group (`transport.Consumer`)."""

    def __init__(
        self, servers: str, group: str, topics: Sequence[str], *, member: str | None, session_ms: int = 6000,
        patient: bool = False,
    ) -> None:  # fmt: skip
        tolerate()
        with _kafka("joining the group"):
            self._client = KafkaConsumer(
                *topics, bootstrap_servers=servers.split(","), group_id=group, group_instance_id=member,
                client_id=member or group, metrics_enabled=False,
                enable_auto_commit=False, auto_offset_reset="earliest",
                session_timeout_ms=session_ms, heartbeat_interval_ms=500, max_poll_interval_ms=30_000,
                request_timeout_ms=max(REQUEST_MS, session_ms) + 1000, reconnect_backoff_max_ms=RECONNECT_MS,
                fetch_max_wait_ms=PATIENT_MS if patient else 500, fetch_min_bytes=PATIENT_BYTES if patient else 1,
            )  # fmt: skip
            for topic in topics:  # a leader that does not know a topic yet gives its partitions to nobody
                self._client.partitions_for_topic(topic)

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """See `transport.Consumer`."""
        with _kafka("polling"):
            batches = self._client.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [_record(r) for batch in batches.values() for r in batch]

    def assignment(self) -> frozenset[Partition]:
        """See `transport.Consumer`."""
        return frozenset((tp.topic, tp.partition) for tp in self._client.assignment() or ())

    def seek(self, partition: Partition, offset: int) -> None:
        """See `transport.Consumer`."""
        with suppress(ValueError, AssertionError, KafkaError):  # not assigned any more: nothing to seek
            self._client.seek(TopicPartition(*partition), offset)

    def commit(self, offsets: Mapping[Partition, int], *, wait: bool = False) -> None:
        """See `transport.Consumer`."""
        positions = {TopicPartition(*tp): OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()}
        try:
            if wait:
                self._client.commit(positions)
            else:
                self._client.commit_async(positions, callback=_log_commit)
        except (KafkaError, OSError, AssertionError) as error:
            log.info("offsets.not_committed", error=type(error).__name__)

    def ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        with _kafka("asking for end offsets"):
            ends = self._client.end_offsets([TopicPartition(*p) for p in partitions])
        return {(tp.topic, tp.partition): offset for tp, offset in ends.items()}

    def starts(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """See `transport.Consumer`."""
        with _kafka("asking for start offsets"):
            starts = self._client.beginning_offsets([TopicPartition(*p) for p in partitions])
        return {(tp.topic, tp.partition): offset for tp, offset in starts.items()}

    def position(self, partition: Partition) -> int:
        """See `transport.Consumer`."""
        with suppress(AssertionError, KafkaError):  # not assigned any more, or no answer: it proves nothing
            return int(self._client.position(TopicPartition(*partition), timeout_ms=REQUEST_MS) or 0)
        return 0

    def partition_counts(self, topics: Sequence[str]) -> Mapping[str, int]:
        """See `transport.Consumer`."""
        with _kafka("asking for partitions"):
            found = {topic: self._client.partitions_for_topic(topic) for topic in topics}
        return {topic: len(partitions) for topic, partitions in found.items() if partitions}

    def close(self) -> None:
        """See `transport.Consumer`."""
        with suppress(KafkaError, OSError):
            self._client.close(timeout_ms=3000)


class Reader:
    """Reads whole topics without a group: rule books, `verify`, the console."""

    def __init__(self, servers: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None) -> None:
        tolerate()
        with _kafka("opening a reader"):
            self._client = KafkaConsumer(
                bootstrap_servers=servers.split(","), enable_auto_commit=False, auto_offset_reset="earliest",
                request_timeout_ms=REQUEST_MS + 1000, fetch_max_wait_ms=100, reconnect_backoff_max_ms=RECONNECT_MS,
            )  # fmt: skip
            found = [TopicPartition(t, p) for t in topics for p in sorted(self._client.partitions_for_topic(t) or ())]
            self._client.assign(found)
            for tp in found:
                offset = (start or {}).get((tp.topic, tp.partition))
                if offset is None:
                    self._client.seek_to_beginning(tp)
                else:
                    self._client.seek(tp, offset)
        self._partitions = found

    def poll(self, timeout_s: float, max_records: int = 5000) -> list[Record]:
        """Next records, in order per partition."""
        with _kafka("reading"):
            batches = self._client.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
        return [_record(r) for batch in batches.values() for r in batch]

    def ends(self) -> Mapping[Partition, int]:
        """Offset that the next record of each partition will get."""
        with _kafka("asking for end offsets"):
            return {(tp.topic, tp.partition): o for tp, o in self._client.end_offsets(self._partitions).items()}

    def to_end(self, timeout_s: float = 60.0) -> Iterator[Record]:
        """All records up to the ends as they are now. Raises `Unavailable` when they do not come within the time."""
        ends = {p: end for p, end in self.ends().items() if end > 0}
        deadline = time.monotonic() + timeout_s
        while any(self._position(p) < end for p, end in ends.items()):
            if time.monotonic() > deadline:
                raise Unavailable(f"Kafka did not deliver up to {ends} within {timeout_s} s")
            for record in self.poll(0.2):
                if record.offset < ends.get((record.topic, record.partition), 0):
                    yield record

    def _position(self, partition: Partition) -> int:
        with _kafka("asking for a position"):
            position: int = self._client.position(TopicPartition(*partition))
        return position

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(KafkaError, OSError):
            self._client.close()


class KeyPartitioner(Partitioner):  # type: ignore[misc]  # kafka-python ships no types
    """CRC32 of the key, as librdkafka's clients choose by default: the client's own murmur2 in Python costs 10 us."""

    def partition(
        self, topic: str, key: object, key_bytes: bytes | None, value: object, value_bytes: object, cluster: Any
    ) -> int:
        """Number of the partition; records without key go to the first."""
        return crc32(key_bytes or b"") % len(cluster.partitions_for_topic(topic))


class LogProducer:
    """Writes to Kafka and waits for every acknowledgement (`transport.Producer`).

    After a failure the client is thrown away: an idempotent one may refuse everything from then on, and what still lies
    in its buffers must not go out late.
    """

    def __init__(self, servers: str, client_id: str) -> None:
        self._servers, self._client_id = servers.split(","), client_id
        self._client: Any = self._open()

    def _open(self) -> Any:
        with _kafka("opening the producer"):
            return KafkaProducer(
                bootstrap_servers=self._servers, client_id=self._client_id, acks="all",
                partitioner=KeyPartitioner(), linger_ms=LINGER_MS,  # a flush follows every hand-over and waits for none
                batch_size=131_072, delivery_timeout_ms=DELIVERY_MS, request_timeout_ms=REQUEST_MS,
                max_block_ms=REQUEST_MS, reconnect_backoff_max_ms=RECONNECT_MS,
                max_request_size=2 * MAX_DEAD_LETTER_BYTES,
            )  # fmt: skip

    def publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        """See `transport.Producer`."""
        self._client = self._client or self._open()
        try:
            self._publish(messages, may_send)
        except Unavailable:
            client, self._client = self._client, None
            throw_away(client)
            raise

    def _publish(self, messages: Sequence[Message], may_send: Callable[[], bool]) -> None:
        futures: list[Any] = []
        try:
            for start in range(0, len(messages), IN_FLIGHT):
                chunk = messages[start : start + IN_FLIGHT]
                with _kafka("producing"):
                    self._hand_over(chunk, may_send, futures)
        finally:
            failed = settle(futures, DELIVERY_MS / 1000 + 1)
        if failed:
            raise Unavailable(f"Kafka acknowledged all but {failed} of {len(messages)} records")

    def _hand_over(self, chunk: Sequence[Message], may_send: Callable[[], bool], futures: list[Any]) -> None:
        for n, m in enumerate(chunk):
            if n % 50 == 0 and not may_send():
                raise Unavailable("too long between the check of the fence and the send")
            futures.append(self._client.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)))
        self._client.flush(timeout=DELIVERY_MS / 1000 + 1)

    def close(self) -> None:
        """See `transport.Producer`."""
        if self._client:
            with suppress(KafkaError, OSError):
                self._client.close(timeout=3)


def throw_away(client: Any) -> None:
    """Close without sending what is left: `close` flushes first and leaves everything running when that fails."""
    with suppress(KafkaError, OSError):
        client._sender.force_close()
        client.close(timeout=1)


def settle(futures: Sequence[Any], within_s: float) -> int:
    """Wait for all futures, together no longer than this; how many failed.

    When a broker dies the client forgets some of its futures: each of those would cost its own timeout, and a worker
    that waits for hundreds of them keeps its whole group from rebalancing.
    """
    failed, deadline = 0, time.monotonic() + within_s
    for future in futures:
        try:
            future.get(timeout=max(0.0, deadline - time.monotonic()))
        except (KafkaError, OSError, AssertionError) as error:
            failed += 1
            if failed == 1:
                log.warning("produce.failed", error=f"{type(error).__name__}: {error}")
    return failed


def _record(r: Any) -> Record:
    headers = [(name, value or b"") for name, value in r.headers]  # a header may have no value
    timestamp = min(max(r.timestamp, 0), LAST_MS)  # on a topic that others made it may be the writer's own
    return Record(r.topic, r.partition, r.offset, timestamp, r.key, r.value, headers)


def _log_commit(_offsets: Any, outcome: Any) -> None:
    if isinstance(outcome, Exception):
        log.info("offsets.not_committed", error=type(outcome).__name__)


def create_topics(servers: str, topics: Sequence[Topic], partitions: int, replication: int = 0) -> tuple[str, ...]:
    """Create those that do not exist yet, from their declaration; names of the ones created.

    `replication` 0: three copies, or as many as there are brokers.
    """
    with _kafka("creating topics"):
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


class GroupLags:
    """How far consumer groups are behind. Belongs to one thread."""

    def __init__(self, servers: str) -> None:
        with _kafka("opening an admin client"):
            self._admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)
            self._client = KafkaConsumer(bootstrap_servers=servers.split(","), request_timeout_ms=REQUEST_MS + 1000)

    def records(self, groups: Sequence[str]) -> Mapping[str, int]:
        """Records that each group has still to read and commit; a group of which nothing is known is left out.

        What counts is what a group's members subscribe to, or, while there are none, what they committed before: a
        topic that nobody in the group reads keeps nobody waiting.
        """
        with _kafka("asking for committed offsets"):
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
    with _kafka("asking for committed offsets"):
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=15_000)
        try:
            found = admin.list_group_offsets(group)[group]
        finally:
            admin.close()
    return {(tp.topic, tp.partition): at.offset for tp, at in found.items() if at.offset >= 0}
