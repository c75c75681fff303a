"""Publishing rule books to a broker that is slow to know its new topic."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from schemas.topics import RULES_PUBLISHED
from services.cli import books
from services.runtime.errors import Unavailable
from services.runtime.transport import Message, Partition, Record


class SlowBroker:
    """Refuses the first records, and at first does not know that the topic exists."""

    def __init__(self, refusals: int, unknown: int = 0) -> None:
        self.refusals, self.unknown = refusals, unknown
        self.attempts: list[list[Message]] = []
        self.log: list[Message] = []

    def producer(self, *_: object) -> "SlowBroker":
        return self

    def reader(self, *_: object) -> "SlowBroker":
        self.unknown -= 1
        return self

    def publish(self, messages: Sequence[Message], _: Callable[[], bool]) -> None:
        self.attempts.append(list(messages))
        if len(self.attempts) <= self.refusals:
            raise Unavailable("the topic has no leader yet")
        self.log += messages

    def ends(self) -> Mapping[Partition, int]:
        return {} if self.unknown >= 0 else {(RULES_PUBLISHED.name, 0): len(self.log)}

    def to_end(self) -> Iterator[Record]:
        for offset, m in enumerate(self.log if self.unknown < 0 else ()):
            yield Record(m.topic, 0, offset, 0, m.key, m.value, m.headers)

    def close(self) -> None: ...


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[SlowBroker], SlowBroker]:
    def use(broker: SlowBroker) -> SlowBroker:
        monkeypatch.setattr(books, "LogProducer", broker.producer)
        monkeypatch.setattr(books, "Reader", broker.reader)
        monkeypatch.setattr("time.sleep", lambda _: None)
        return broker

    return use


def ids(messages: Sequence[Message]) -> list[bytes]:
    return [dict(m.headers)["ce_id"] for m in messages]


def test_defaults_refused_at_first_are_written_again_under_the_same_ids(
    at: Callable[[SlowBroker], SlowBroker],
) -> None:
    broker = at(SlowBroker(refusals=2))
    keys = books.publish_missing_defaults("broker:9092")
    assert books.active_versions(list(books.history("broker:9092"))).keys() == books.MODELS.keys()
    assert keys
    assert ids(broker.attempts[0]) == ids(broker.attempts[1]) == ids(broker.attempts[2])
    assert broker.attempts[0] == broker.attempts[2]


def test_a_broker_that_never_takes_them_ends_in_an_error(at: Callable[[SlowBroker], SlowBroker]) -> None:
    broker = at(SlowBroker(refusals=1000))
    with pytest.raises(Unavailable, match="no leader"):
        books.publish_missing_defaults("broker:9092")
    assert len(broker.attempts) == len(books.PAUSES_S) + 1


def test_a_topic_not_known_yet_is_not_taken_for_one_without_books(at: Callable[[SlowBroker], SlowBroker]) -> None:
    """Else a busy broker would get the defaults put in force over the operator's own books."""
    broker = at(SlowBroker(refusals=0))
    books.publish_missing_defaults("broker:9092")
    written = len(broker.log)
    broker.unknown = 2
    assert books.publish_missing_defaults("broker:9092") == {}
    assert len(broker.log) == written


def test_what_is_no_event_is_passed_over_for_the_topic_keeps_it_for_ever(
    at: Callable[[SlowBroker], SlowBroker],
) -> None:
    broker = at(SlowBroker(refusals=0))
    books.publish_missing_defaults("broker:9092")
    before = len(list(books.history("broker:9092")))
    broker.log += [Message(RULES_PUBLISHED.name, b"k", b"", ()), Message(RULES_PUBLISHED.name, b"k", b"\xff{", ())]
    assert len(list(books.history("broker:9092"))) == before > 0
