"""What the engine relies on in a log: one contract, held by Kafka and by the memory transport."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from schemas.topics import DEADLETTERS, LEADS_RECEIVED, PEOPLE_CHANGED, Topic
from services.runtime.errors import Unavailable
from services.runtime.kafka.consumer import GroupConsumer
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.memory.clients import MemoryConsumer, MemoryProducer, MemoryReader
from services.runtime.memory.log import MemoryLog
from services.runtime.transport import Consumer, Message, Partition, Producer, Record

PARTITIONS = 4


@dataclass
class Side:
    """One implementation, with topics of its own for each test."""

    consumer: Callable[[str, str], Consumer]
    producer: Producer
    reader: Callable[..., Reader | MemoryReader]
    topic: str
    compacted: str
    letters: str
    open: list[Consumer] = field(default_factory=list)

    def join(self, group: str, member: str) -> Consumer:
        self.open.append(self.consumer(group, member))
        return self.open[-1]

    def write(self, *messages: Message) -> None:
        self.producer.publish(messages, lambda: True)


@pytest.fixture(params=["memory", "kafka"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    run = uuid.uuid4().hex[:8]
    topics = [replace(t, name=f"{t.name}.{run}") for t in (LEADS_RECEIVED, PEOPLE_CHANGED, DEADLETTERS)]
    made = _memory(topics) if request.param == "memory" else _kafka(request.getfixturevalue("kafka"), topics)
    yield made
    for consumer in made.open:
        consumer.close()
    made.producer.close()


def _names(topics: list[Topic]) -> tuple[str, str, str]:
    return topics[0].name, topics[1].name, topics[2].name


def _memory(topics: list[Topic]) -> Side:
    log = MemoryLog(lambda: datetime.now(UTC), topics, PARTITIONS)
    return Side(
        lambda group, member: MemoryConsumer(log, group, [topics[0].name], member), MemoryProducer(log),
        lambda names, start=None: MemoryReader(log, names, start), *_names(topics))  # fmt: skip


def _kafka(servers: str, topics: list[Topic]) -> Side:
    create_topics(servers, topics, PARTITIONS)
    return Side(
        lambda group, member: GroupConsumer(servers, f"{topics[0].name}.{group}", [topics[0].name], member=None),
        LogProducer(servers, "contract"),
        lambda names, start=None: Reader(servers, names, start), *_names(topics))  # fmt: skip


def message(topic: str, key: str, text: str = "{}", headers: tuple[tuple[str, bytes], ...] = ()) -> Message:
    return Message(topic, key.encode(), text.encode(), headers)


def read(consumer: Consumer, n: int, within_s: float = 20.0) -> list[Record]:
    """The next `n` records or more."""
    found: list[Record] = []
    deadline = time.monotonic() + within_s
    while len(found) < n and time.monotonic() < deadline:
        found += consumer.poll(0.2, 500)
    return found


def settle(consumers: list[Consumer], within_s: float = 20.0) -> list[frozenset[Partition]]:
    """What each was given, once all partitions have exactly one owner and nobody is without."""
    deadline = time.monotonic() + within_s
    while True:
        for consumer in consumers:
            consumer.poll(0.05, 1)
        given = [c.assignment() for c in consumers]
        if sum(map(len, given)) == len(frozenset().union(*given)) == PARTITIONS and all(given):
            return given
        assert time.monotonic() < deadline, given


def test_records_of_one_key_come_in_the_order_written_with_rising_offsets(side: Side) -> None:
    side.write(*(message(side.topic, f"k{n % 7}", str(n)) for n in range(200)))
    records = read(side.join("g", "a"), 200)
    assert sorted(int(r.value or b"") for r in records) == list(range(200))
    for key in {r.key for r in records}:
        same = [r for r in records if r.key == key]
        assert len({r.partition for r in same}) == 1
        assert [int(r.value or b"") for r in same] == sorted(int(r.value or b"") for r in same)
    for p in range(PARTITIONS):
        offsets = [r.offset for r in records if r.partition == p]
        assert offsets == list(range(len(offsets)))


def test_a_poll_brings_no_more_than_asked_for_and_nothing_after_the_timeout(side: Side) -> None:
    consumer = side.join("g", "a")
    settle([consumer])
    started = time.monotonic()
    assert consumer.poll(0.2, 10) == []
    assert 0.15 < time.monotonic() - started < 3
    side.write(*(message(side.topic, str(n)) for n in range(50)))
    sizes: list[int] = []
    while sum(sizes) < 50:
        sizes.append(len(consumer.poll(1, 10)))
    assert max(sizes) <= 10


def test_the_broker_gives_the_time_of_arrival(side: Side) -> None:
    before = time.time() * 1000
    side.write(message(side.topic, "k"))
    (record,) = read(side.join("g", "a"), 1)
    assert before - 1000 < record.timestamp_ms < time.time() * 1000 + 1000


def test_key_value_and_headers_come_back_to_the_byte(side: Side) -> None:
    headers = (("ce_id", b"1"), ("twice", b"\x00\xff"), ("twice", "ñ".encode()), ("empty", b""))
    side.write(
        Message(side.topic, b"\x00\xfe", b'{"a": "\xc3\xb1"}', headers), Message(side.topic, None, b"keyless", ())
    )
    records = {r.key: r for r in read(side.join("g", "a"), 2)}
    assert records[b"\x00\xfe"].value == b'{"a": "\xc3\xb1"}'
    assert tuple(records[b"\x00\xfe"].headers) == headers
    assert records[None].value == b"keyless"
    assert list(records[None].headers) == []


def test_a_tombstone_has_no_value_and_differs_from_an_empty_one(side: Side) -> None:
    side.write(Message(side.compacted, b"gone", None, ()), Message(side.compacted, b"empty", b"", ()))
    reader = side.reader([side.compacted])
    assert {r.key: r.value for r in reader.to_end()} == {b"gone": None, b"empty": b""}
    reader.close()


def test_members_share_the_partitions_in_ranges_and_the_one_that_stays_takes_over(side: Side) -> None:
    first = side.join("g", "a")
    assert settle([first]) == [frozenset((side.topic, p) for p in range(PARTITIONS))]
    second = side.join("g", "b")
    halves = sorted(sorted(p for _, p in given) for given in settle([first, second]))
    assert halves == [[0, 1], [2, 3]]
    second.close()
    assert len(settle([first])[0]) == PARTITIONS


def test_a_successor_goes_on_at_the_committed_offset(side: Side) -> None:
    side.write(*(message(side.topic, "k", str(n)) for n in range(10)))
    first = side.join("g", "a")
    records = read(first, 10)
    place = (records[0].topic, records[0].partition)
    first.commit({place: 7}, wait=True)
    first.close()
    assert [r.offset for r in read(side.join("g", "b"), 3)] == [7, 8, 9]


def test_another_group_reads_everything_for_itself(side: Side) -> None:
    side.write(*(message(side.topic, str(n)) for n in range(10)))
    first = side.join("g", "a")
    records = read(first, 10)
    first.commit({(r.topic, r.partition): r.offset + 1 for r in records}, wait=True)
    assert len(read(side.join("h", "a"), 10)) == 10


def test_a_reset_group_reads_from_the_start_again(side: Side) -> None:
    side.write(*(message(side.topic, "k", str(n)) for n in range(5)))
    first = side.join("g", "a")
    place = (side.topic, read(first, 5)[0].partition)
    first.commit({place: 5}, wait=True)
    first.commit({place: 0}, wait=True)
    first.close()
    assert [r.offset for r in read(side.join("g", "b"), 5)] == [0, 1, 2, 3, 4]


def test_seeking_back_brings_the_same_records_again(side: Side) -> None:
    side.write(*(message(side.topic, "k", str(n)) for n in range(10)))
    consumer = side.join("g", "a")
    place = (side.topic, read(consumer, 10)[0].partition)
    consumer.seek(place, 4)
    assert consumer.position(place) == 4
    assert [r.offset for r in read(consumer, 6)] == [4, 5, 6, 7, 8, 9]
    assert consumer.position(place) == 10


def test_seeking_a_partition_that_is_not_ours_does_nothing(side: Side) -> None:
    consumer = side.join("g", "a")
    settle([consumer])
    consumer.seek((side.topic, 99), 0)
    consumer.seek(("nowhere", 0), 0)
    assert (side.topic, 99) not in consumer.assignment()
    assert consumer.position((side.topic, 99)) == 0


def test_ends_and_starts_tell_what_the_log_holds(side: Side) -> None:
    consumer = side.join("g", "a")
    places = [(side.topic, p) for p in range(PARTITIONS)]
    assert set(consumer.ends(places).values()) == {0}
    side.write(*(message(side.topic, str(n)) for n in range(20)))
    assert sum(consumer.ends(places).values()) == 20
    assert set(consumer.starts(places).values()) == {0}


def test_partitions_are_counted_and_a_missing_topic_is_left_out(side: Side) -> None:
    consumer = side.join("g", "a")
    assert consumer.partition_counts([side.topic, "nowhere"]) == {side.topic: PARTITIONS}


def test_ends_of_an_unknown_partition_are_unavailable(side: Side) -> None:
    consumer = side.join("g", "a")
    with pytest.raises(Unavailable):
        consumer.ends([("nowhere", 0)])


def test_a_message_that_is_not_taken_is_an_error_and_the_others_may_be_written(side: Side) -> None:
    large = message(side.topic, "k", "x" * 1_100_000)
    with pytest.raises(Unavailable):
        side.write(message(side.topic, "k", "before"), large, message(side.topic, "k", "after"))
    side.write(message(side.topic, "k", "next"))
    values = [r.value for r in read(side.join("g", "a"), 1)]
    assert values[-1] == b"next"
    assert set(values) <= {b"before", b"after", b"next"}


def test_a_topic_that_does_not_exist_takes_nothing(side: Side) -> None:
    with pytest.raises(Unavailable):
        side.write(message("nowhere", "k"))


def test_nothing_more_is_handed_over_once_we_may_not_send(side: Side) -> None:
    answers = iter([True, False])
    with pytest.raises(Unavailable):
        side.producer.publish([message(side.topic, "k", str(n)) for n in range(200)], lambda: next(answers))
    reader = side.reader([side.topic])
    assert len(list(reader.to_end())) < 200
    reader.close()


def test_the_dead_letter_topic_takes_a_record_twice_as_large(side: Side) -> None:
    side.write(message(side.letters, "k", "x" * 2_000_000))
    reader = side.reader([side.letters])
    assert [len(r.value or b"") for r in reader.to_end()] == [2_000_000]
    reader.close()


def test_a_reader_reads_to_the_end_as_it_is_now(side: Side) -> None:
    reader = side.reader([side.topic])
    assert list(reader.to_end()) == []
    side.write(*(message(side.topic, str(n), str(n)) for n in range(30)))
    assert sum(reader.ends().values()) == 30
    assert sorted(int(r.value or b"") for r in reader.to_end()) == list(range(30))
    assert reader.poll(0.2) == []
    reader.close()


def test_a_reader_begins_where_it_is_told_to(side: Side) -> None:
    side.write(*(message(side.topic, "k", str(n)) for n in range(10)))
    first = side.reader([side.topic])
    place = (side.topic, next(first.to_end()).partition)
    first.close()
    reader = side.reader([side.topic], {place: 6})
    assert [r.offset for r in reader.to_end()] == [6, 7, 8, 9]
    reader.close()


def test_a_closed_member_cannot_poll(side: Side) -> None:
    consumer = side.consumer("g", "a")
    consumer.close()
    with pytest.raises(Unavailable):
        consumer.poll(0.2, 1)
