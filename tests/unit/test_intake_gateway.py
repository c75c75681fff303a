"""Records of many requests on their way to the broker: when each request is answered, and what is not taken."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from confluent_kafka import KafkaError

from services.intake import gateway as module
from services.intake.gateway import KafkaGateway
from services.runtime.errors import Unavailable
from services.runtime.transport import Message

Hear = Callable[[KafkaError | None, object], None]
LOST = KafkaError(KafkaError._MSG_TIMED_OUT)


class Client:
    """A client without a broker: the test says what becomes of a record, and how many it takes at all."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Hear]] = []
        self.outcomes: list[tuple[Hear, KafkaError | None]] = []
        self.room = 1000

    def produce(self, _topic: str, value: bytes, _key: bytes, headers: object, on_delivery: Hear) -> None:
        if not self.room:
            raise BufferError("Local: Queue full")
        self.room -= 1
        self.taken.append((value, on_delivery))

    def end(self, value: bytes, error: KafkaError | None = None) -> None:
        """The next poll tells the outcome of the records with this value."""
        self.outcomes += [(hear, error) for taken, hear in self.taken if taken == value]
        self.taken = [one for one in self.taken if one[0] != value]

    def poll(self, _timeout: float) -> int:
        told = 0
        while self.outcomes:  # what one hearer raises ends the poll; the rest is told by the next
            hear, error = self.outcomes.pop(0)
            hear(error, None)
            told += 1
        return told


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(module, "open_producer", lambda *_, **__: made)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def gateway(limit: int = 100) -> KafkaGateway:
    made = KafkaGateway("nowhere:1", ["t"], "test", limit)
    made._open = True
    return made


def records(*values: bytes) -> list[Message]:
    return [Message("t", b"key", value, [("ce_id", b"1")]) for value in values]


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


async def posted(door: KafkaGateway, *values: bytes) -> "asyncio.Task[None]":
    """A request that has handed over its records and waits."""
    task = asyncio.ensure_future(door.publish(records(*values)))
    await asyncio.sleep(0)
    return task


async def after_a_loss(client: Client) -> KafkaGateway:
    """A gateway that has just lost a record."""
    door = gateway()
    lost = await posted(door, b"a")
    client.end(b"a", LOST)
    await asyncio.gather(lost, return_exceptions=True)
    assert not door.ready
    return door


def test_each_request_is_answered_when_its_own_records_are_acknowledged(client: Client) -> None:
    async def scene() -> None:
        door = gateway()
        first, second = await posted(door, b"a"), await posted(door, b"b")
        client.end(b"b")
        await second
        assert (first.done(), door.in_flight) == (False, 1)
        client.end(b"a")
        await first
        assert door.in_flight == 0

    played(scene)


def test_an_answer_waits_for_the_last_record_of_its_request(client: Client) -> None:
    async def scene() -> None:
        door = gateway()
        request = await posted(door, b"a", b"a", b"last")
        client.end(b"a")
        while door.in_flight > 1:
            await asyncio.sleep(0.001)
        assert not request.done()
        client.end(b"last")
        await request

    played(scene)


def test_a_request_without_records_waits_for_nothing(client: Client) -> None:
    played(lambda: gateway().publish([]))


def test_one_lost_record_fails_its_own_request_and_no_other(client: Client) -> None:
    async def scene() -> None:
        door = gateway()
        whole, broken = await posted(door, b"a", b"b"), await posted(door, b"a", b"c")
        client.end(b"c", LOST)
        client.end(b"a")
        client.end(b"b")
        results = await asyncio.gather(whole, broken, return_exceptions=True)
        assert results[0] is None
        assert str(results[1]) == "Kafka did not acknowledge: _MSG_TIMED_OUT"

    played(scene)


def test_more_than_the_limit_is_refused_but_for_one_request_that_has_more_by_itself(client: Client) -> None:
    async def scene() -> None:
        door = gateway(limit=3)
        large = await posted(door, *[b"a"] * 5)
        with pytest.raises(Unavailable, match="5 records wait"):
            await door.publish(records(b"b"))
        client.end(b"a")
        await large
        small = await posted(door, b"b")
        client.end(b"b")
        await small

    played(scene)


def test_after_a_failure_one_request_a_second_finds_out_and_the_others_are_refused(
    client: Client, clock: Clock
) -> None:
    async def scene() -> None:
        door = await after_a_loss(client)
        with pytest.raises(Unavailable, match="does not acknowledge"):
            await door.publish(records(b"b"))
        clock.now += 1.1
        probe = await posted(door, b"c")
        with pytest.raises(Unavailable, match="does not acknowledge"):
            await door.publish(records(b"d"))
        client.end(b"c")
        await probe
        assert door.ready

    played(scene)


def test_it_calls_itself_ready_again_when_the_next_post_may_find_out(client: Client, clock: Clock) -> None:
    """Behind a balancer that asks `/readyz` no post would ever come, and none would ever find out."""

    async def scene() -> None:
        door = await after_a_loss(client)
        clock.now += 1.1
        assert door.ready
        probe = await posted(door, b"b")
        clock.now += 1.1
        assert not door.ready, "nobody knows yet"
        client.end(b"b")
        await probe
        assert door.ready

    played(scene)


def test_a_client_that_takes_only_some_records_of_a_request_fails_it_and_forgets_none(client: Client) -> None:
    async def scene() -> None:
        door = gateway()
        client.room = 2
        with pytest.raises(Unavailable, match="BufferError"):
            await door.publish(records(b"a", b"a", b"a"))
        assert door.in_flight == 2
        client.end(b"a")
        while door.in_flight:
            await asyncio.sleep(0.001)

    played(scene)


def test_who_has_left_keeps_nobody_from_an_answer(client: Client) -> None:
    async def scene() -> None:
        door = gateway()
        gone, here = await posted(door, b"a"), await posted(door, b"b")
        gone.cancel()
        client.end(b"a")
        client.end(b"b")
        await here
        assert door.in_flight == 0

    played(scene)


class FullDisk:
    """A log that cannot be written."""

    def warning(self, *_: object, **__: object) -> None:
        raise OSError("no space left on device")

    info = warning


def test_a_log_that_cannot_be_written_keeps_nobody_from_an_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "log", FullDisk())

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        door = gateway()
        lost, taken = await posted(door, b"a"), await posted(door, b"b")
        client.end(b"a", LOST)
        client.end(b"b")
        results = await asyncio.wait_for(asyncio.gather(lost, taken, return_exceptions=True), 2)
        assert (str(results[0]), results[1]) == ("Kafka did not acknowledge: _MSG_TIMED_OUT", None)
        assert door.ready

    played(scene)


def test_nothing_is_taken_before_the_topics_are_known(client: Client) -> None:
    async def scene() -> None:
        door = KafkaGateway("nowhere:1", ["t"], "test")
        with pytest.raises(Unavailable, match="not answered yet"):
            await door.publish(records(b"a"))
        assert (door.ready, client.taken) == (False, [])

    played(scene)


def test_an_idle_gateway_hears_what_its_client_complains_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the complaints of a long outage would fill the memory."""
    monkeypatch.setattr(module, "_LOOK_IDLE_S", 0.01)

    async def scene() -> None:
        request = await posted(gateway(), b"a")
        client.end(b"a")
        await request
        told: list[str] = []
        client.outcomes.append((lambda *_: told.append("complaint"), None))
        while not told:
            await asyncio.sleep(0.001)

    played(scene)
