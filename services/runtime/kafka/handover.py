"""Many records into kafka-python's hands in one go.

`KafkaProducer.send` builds, locks, wakes and makes a future for each record, some 35 us. Here the records of one
partition are written as one batch of the client's own kind, with one future; from there on everything is the client's:
order, sequence numbers, retries, deadlines. Only `_laid_out` and `hand_over` reach into it, and a test holds what they
make to what the client makes of the same records, byte by byte.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from zlib import crc32

from kafka.errors import IllegalStateError
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import encode_varint
from kafka.structs import TopicPartition

from services.runtime.transport import Message, Partition

T = TypeVar("T")
_MOST_BYTES = 131_072  # of the records in one batch, unless one alone is larger
_FORMAT, _UNCOMPRESSED = 2, 0
_ABSENT = b"\x01"  # the length -1


def addressed(client: Any, messages: Sequence[Message]) -> list[tuple[Partition, bytes]]:
    """Partition and encoded content of each record.

    The partition is the key's CRC32, as librdkafka's clients choose by default. Raises what the client raises when a
    topic is not known; it may take `max_block_ms` to say so.
    """
    counts = {topic: len(client.partitions_for(topic)) for topic in {m.topic for m in messages}}
    return [((m.topic, crc32(m.key or b"") % counts[m.topic]), _content(m)) for m in messages]


def hand_over(client: Any, records: Iterable[tuple[Partition, bytes, T]]) -> list[tuple[Any, list[T]]]:
    """Hand over records with what each belongs to. A future for every batch, and what its records belong to, in order.

    A future's value is (offset, time, errors): the broker has the batch if `errors` is None. Raises
    `IllegalStateError` when the client is closed; then it has none of the records.
    """
    batches = [(_laid_out(p, contents), owners) for p, contents, owners in _gathered(records)]
    accumulator = client._accumulator
    accumulator._appends_in_progress.increment()
    try:
        if accumulator._closed:
            raise IllegalStateError("the client is closed")
        for batch, _ in batches:
            with accumulator._tp_lock(batch.topic_partition):
                accumulator._batches[batch.topic_partition].append(batch)
                accumulator._incomplete.add(batch)
    finally:
        accumulator._appends_in_progress.decrement()
    client._sender.wakeup()
    return [(batch.produce_future, owners) for batch, owners in batches]


def error_in(outcome: Any) -> str | None:
    """The name of what went wrong with a batch, from its future's value or exception; None if nothing did."""
    if isinstance(outcome, BaseException):
        return type(outcome).__name__
    errors = outcome[2]
    return None if errors is None else type(errors(0)).__name__


def _gathered(records: Iterable[tuple[Partition, bytes, T]]) -> list[tuple[Partition, list[bytes], list[T]]]:
    """The records by partition, in order, in as many parts as their size asks for."""
    parts: list[tuple[Partition, list[bytes], list[T]]] = []
    open_parts: dict[Partition, tuple[list[bytes], list[T], int]] = {}
    for partition, content, owner in records:
        contents, owners, size = open_parts.get(partition, ([], [], 0))
        size += len(content)
        if not contents or size > _MOST_BYTES:
            contents, owners, size = [], [], len(content)
            parts.append((partition, contents, owners))
        contents.append(content)
        owners.append(owner)
        open_parts[partition] = contents, owners, size
    return parts


def _laid_out(partition: Partition, contents: Sequence[bytes]) -> Any:
    """A batch of the client's, with these records in it and closed to others."""
    records = MemoryRecordsBuilder(_FORMAT, _UNCOMPRESSED, 0)
    builder, last = records._builder, len(contents) - 1
    for offset, content in enumerate(contents):
        at = _number(offset)
        builder._buffer += b"".join((_number(2 + len(at) + len(content)), b"\0\0", at, content))
    builder._first_timestamp = builder._max_timestamp = int(time.time() * 1000)
    builder._num_records, builder._last_offset = len(contents), last
    records._next_offset = len(contents)
    return ProducerBatch(TopicPartition(*partition), records)


def _content(m: Message) -> bytes:
    """Key, value and headers of a record as they stand in a batch."""
    pieces = [*_sized(m.key), *_sized(m.value), _number(len(m.headers))]
    for name, value in m.headers:
        pieces += (_name(name), _number(len(value)), value)
    return b"".join(pieces)


def _sized(data: bytes | None) -> tuple[bytes, bytes]:
    return (_ABSENT, b"") if data is None else (_number(len(data)), data)


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    encoded = name.encode()
    return _number(len(encoded)) + encoded


@lru_cache(maxsize=8192)
def _number(n: int) -> bytes:
    """A whole number as Kafka writes lengths and differences."""
    written = bytearray()
    encode_varint(n, written.append)
    return bytes(written)
