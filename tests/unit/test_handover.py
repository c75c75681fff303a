"""What is handed to kafka-python in one go is what the client would have made of the same records one by one."""

from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import IllegalStateError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords
from kafka.structs import TopicPartition

from services.runtime.kafka.handover import addressed, error_in, hand_over
from services.runtime.kafka.producer import KeyPartitioner
from services.runtime.transport import Message

SIZE = 131_072
messages = st.builds(
    Message,
    topic=st.just("t"),
    key=st.none() | st.binary(max_size=200),
    value=st.none() | st.binary(max_size=20_000),
    headers=st.lists(st.tuples(st.text(max_size=80), st.binary(max_size=90)), max_size=3),
)


class Client:
    """The client's inside: its real accumulator, without a thread that sends."""

    def __init__(self, partitions: int = 1) -> None:
        self._accumulator = RecordAccumulator(batch_size=SIZE)
        self._sender = SimpleNamespace(wakeup=self._wake)
        self.partitions, self.wakes = partitions, 0

    def partitions_for(self, _topic: str) -> set[int]:
        return set(range(self.partitions))

    def _wake(self) -> None:
        self.wakes += 1

    def batches(self, partition: int = 0) -> list[Any]:
        return list(self._accumulator._batches[TopicPartition("t", partition)])


def record(value: bytes, key: bytes = b"key") -> Message:
    return Message("t", key, value, [("ce_id", b"1")])


def handed_over(client: Client, records: list[Message]) -> list[tuple[Any, list[int]]]:
    return hand_over(client, [(*where, n) for n, where in enumerate(addressed(client, records))])


def closed(batch: Any) -> bytes:
    batch.records.set_producer_state(7, 1, 3, False)
    batch.records.close()
    return bytes(batch.records.buffer())


@given(st.lists(messages, min_size=1, max_size=12))
def test_a_batch_holds_the_bytes_that_the_client_itself_would_write(records: list[Message]) -> None:
    client, own = Client(), Client()
    handed_over(client, records)
    (batch,) = client.batches()
    moment = batch.records._builder._first_timestamp
    for m in records:
        own._accumulator.append(TopicPartition("t", 0), moment, m.key, m.value, m.headers)
    (theirs,) = own.batches()
    assert batch.record_count == theirs.record_count == len(records)
    assert closed(batch) == closed(theirs)


@given(st.binary(max_size=80), st.integers(1, 50))
def test_a_key_goes_to_the_partition_where_the_engine_writes_it(key: bytes, partitions: int) -> None:
    client = Client(partitions)
    cluster = SimpleNamespace(partitions_for_topic=client.partitions_for)
    ((where, _),) = addressed(client, [record(b"", key)])
    assert where == ("t", KeyPartitioner().partition("t", key, key, None, b"", cluster))
    assert where[1] == crc32(key) % partitions


def test_each_partition_gets_one_batch_in_the_order_of_its_records_and_the_sender_one_call() -> None:
    client = Client(partitions=3)
    records = [record(b"%d" % n, b"%d" % (n % 10)) for n in range(100)]
    told = handed_over(client, records)
    for partition in range(3):
        (batch,) = client.batches(partition)
        (owners,) = [owners for future, owners in told if future is batch.produce_future]
        values = [bytes(r.value) for b in MemoryRecords(closed(batch)) for r in b]
        assert values == [records[n].value for n in owners]
        assert owners == sorted(owners)
    assert sorted(n for _, owners in told for n in owners) == list(range(100))
    assert client.wakes == 1


def test_a_batch_ends_where_it_would_grow_too_large_and_a_larger_record_goes_alone() -> None:
    client = Client()
    told = handed_over(client, [record(b"x" * n) for n in (60_000, 60_000, 60_000, 900_000, 10)])
    assert [owners for _, owners in told] == [[0, 1], [2], [3], [4]]
    assert [batch.record_count for batch in client.batches()] == [2, 1, 1, 1]
    assert all(batch.records.is_full() for batch in client.batches())  # nobody adds to them


def test_a_closed_client_takes_nothing() -> None:
    client = Client()
    client._accumulator.close()
    with pytest.raises(IllegalStateError):
        handed_over(client, [record(b"1")])
    assert not client.batches()


def test_a_topic_that_the_client_does_not_know_is_an_error_before_anything_is_handed_over() -> None:
    client = Client()

    def unknown(_topic: str) -> set[int]:
        raise KafkaTimeoutError

    client.partitions_for = unknown  # type: ignore[method-assign]
    with pytest.raises(KafkaTimeoutError):
        addressed(client, [record(b"1")])


def test_a_batch_went_wrong_if_its_records_did_or_if_the_client_gave_it_up() -> None:
    client = Client()
    handed_over(client, [record(b"1")])
    handed_over(client, [record(b"2")])
    taken, refused = client.batches()
    taken.complete(0, -1)
    refused.complete_exceptionally(MessageSizeTooLargeError(), lambda _: MessageSizeTooLargeError())
    assert error_in(taken.produce_future.value) is None
    assert error_in(refused.produce_future.value) == "MessageSizeTooLargeError"
    assert error_in(KafkaTimeoutError()) == "KafkaTimeoutError"
