"""Our Kafka client on a real broker: foreign header names, how topics are created, how far groups are behind."""

import time
import uuid
from zlib import crc32

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from schemas.topics import source_topic
from services.runtime.errors import Unavailable
from services.runtime.kafka.consumer import GroupConsumer
from services.runtime.kafka.groups import GroupLags
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics, durability
from services.runtime.transport import Message, Record
from tests.unit.test_header_names import HEADERS


def test_a_record_with_a_header_name_that_is_no_text_is_read_and_so_are_its_neighbours(kafka: str) -> None:
    topic = source_topic(f"platform{uuid.uuid4().hex[:8]}")
    create_topics(kafka, [topic], 1)
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=1000)
    for n, headers in enumerate(([], [h for h in HEADERS if h[1]], [])):  # its producer takes no header without value
        producer.send(topic.name, value=b"%d" % n, headers=headers)
    producer.close()
    consumer = GroupConsumer(kafka, f"group.{topic.name}", [topic.name], member=None)
    found: list[Record] = []
    for _ in range(100):
        found += consumer.poll(0.2, 100)
        if len(found) == 3:
            break
    consumer.close()
    assert [(r.offset, r.value) for r in found] == [(0, b"0"), (1, b"1"), (2, b"2")]
    assert [name for name, _ in found[1].headers] == ["größe", "na?me", "na?me"]


def test_topics_have_no_more_copies_than_there_are_brokers_unless_told_so(kafka: str) -> None:
    topic = source_topic(f"copies{uuid.uuid4().hex[:8]}")
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    brokers = len(admin.describe_cluster()["brokers"])
    with pytest.raises(Unavailable, match="ReplicationFactor"):
        create_topics(kafka, [topic], 1, replication=brokers + 1)
    assert create_topics(kafka, [topic], 1) == (topic.name,)
    (found,) = admin.describe_topics([topic.name])
    admin.close()
    assert len(found["partitions"][0]["replica_nodes"]) == min(3, brokers)


@pytest.mark.parametrize(("copies", "settings"), [(1, {}), (2, {}), (3, {"min.insync.replicas": "2"})])
def test_three_copies_or_more_promise_two_at_every_acknowledgement(copies: int, settings: dict[str, str]) -> None:
    assert durability(copies) == settings


def test_only_what_a_group_reads_keeps_records_waiting(kafka: str) -> None:
    name = uuid.uuid4().hex[:8]
    read, unread = source_topic(f"read{name}"), source_topic(f"unread{name}")
    create_topics(kafka, [read, unread], 1)
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    for topic in (read, unread, read, unread):
        producer.send(topic.name, value=b"{}")
    producer.close()
    group, lags = f"group.{name}", GroupLags(kafka)
    assert lags.records([group]) == {}, "a group that never was is not known"
    consumer = GroupConsumer(kafka, group, [read.name], member=None)
    polls = (consumer.poll(0.2, 100) for _ in range(100))
    assert any(polls)
    assert lags.records([group]) == {group: 2}
    consumer.commit({(read.name, 0): 1}, wait=True)
    assert lags.records([group]) == {group: 1}
    consumer.close()
    assert lags.records([group]) == {group: 1}, "known from its offsets while nobody is in the group"
    lags.close()


def test_a_key_goes_to_the_partition_of_its_crc32(kafka: str) -> None:
    """Writers of one key in several languages and services meet in one partition, in order (DECISIONS 3)."""
    topic = source_topic(f"keys{uuid.uuid4().hex[:8]}")
    create_topics(kafka, [topic], 7)
    producer = LogProducer(kafka, "test")
    keys = [b"", None, *(b"key-%d" % n for n in range(50))]
    producer.publish([Message(topic.name, key, b"{}", []) for key in keys], lambda: True)
    producer.close()
    reader = Reader(kafka, [topic.name])
    found = {record.key: record.partition for record in reader.to_end()}
    reader.close()
    assert found == {key: crc32(key or b"") % 7 for key in keys}


def test_a_member_that_comes_back_reading_more_gets_the_new_topics_too(kafka: str) -> None:
    """The broker gives a static member that is back in time what it had before, whatever it asks for now."""
    name = uuid.uuid4().hex[:8]
    before, added = source_topic(f"before{name}"), source_topic(f"added{name}")
    create_topics(kafka, [before, added], 1)
    for wanted in ([before.name], [before.name, added.name]):
        consumer = GroupConsumer(kafka, f"group.{name}", wanted, member="router-1")
        deadline = time.monotonic() + 30
        while {topic for topic, _ in consumer.assignment()} != set(wanted):
            assert time.monotonic() < deadline, f"it has {consumer.assignment()}"
            consumer.poll(0.2, 10)
        consumer.close()
