"""Records on their way to the broker: which go together, and when whoever posted them is told."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from services.intake import line as line_module
from services.intake.line import Line
from services.runtime.errors import Unavailable
from services.runtime.transport import Message
from tests.unit.test_handover import Client


class Stage:
    """A line over a client without a broker: the test says what becomes of a batch."""

    def __init__(self, client: Client, answer_s: float = 30) -> None:
        self.client, self.ends, self.silent = client, list[str | None](), 0
        self.line = Line(client, answer_s, lambda _, error: self.ends.append(error), self._note_silence)

    def _note_silence(self, _line: Line) -> None:
        self.silent += 1

    def batches(self) -> list[Any]:
        return [batch for partition in range(self.client.partitions) for batch in self.client.batches(partition)]

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            await asyncio.sleep(0.001)


def record(key: bytes = b"key") -> Message:
    return Message("t", key, b"value", [("ce_id", b"1")])


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_records_that_come_at_the_same_time_go_in_one_batch_and_each_is_answered() -> None:
    async def scene() -> None:
        stage = Stage(Client())
        answers = [stage.line.take([record()]) for _ in range(10)]
        await stage.until(lambda: bool(stage.batches()))
        (batch,) = stage.batches()
        assert (batch.record_count, stage.line.in_flight) == (10, 10)
        assert not any(answer.done() for answer in answers)
        batch.complete(0, -1)
        await asyncio.gather(*answers)
        assert (stage.ends, stage.line.in_flight) == ([None] * 10, 0)

    played(scene)


def test_records_wait_while_others_are_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "_LONGEST_WAIT_S", 30)

    async def scene() -> None:
        stage = Stage(Client())
        first = stage.line.take([record()])
        await stage.until(lambda: len(stage.batches()) == 1)
        later = [stage.line.take([record()])]
        await stage.until(lambda: stage.line._held)
        later.append(stage.line.take([record()]))
        assert len(stage.batches()) == 1
        stage.batches()[0].complete(0, -1)
        await first
        await stage.until(lambda: len(stage.batches()) == 2)
        assert stage.batches()[1].record_count == 2
        stage.batches()[1].complete(1, -1)
        await asyncio.gather(*later)

    played(scene)


def test_no_record_waits_long_for_others_in_the_air() -> None:
    async def scene() -> None:
        stage = Stage(Client())
        stage.line.take([record()])
        await stage.until(lambda: len(stage.batches()) == 1)
        later = stage.line.take([record()])
        await stage.until(lambda: len(stage.batches()) == 2)
        stage.batches()[1].complete(1, -1)
        await later

    played(scene)


def test_an_answer_waits_for_the_last_record_of_its_request() -> None:
    async def scene() -> None:
        stage = Stage(Client(partitions=5))
        answer = stage.line.take([record(b"%d" % n) for n in range(50)])
        await stage.until(lambda: bool(stage.batches()))
        *most, last = stage.batches()
        for batch in most:
            batch.complete(0, -1)
        await stage.until(lambda: stage.line.in_flight == last.record_count)
        assert most
        assert not answer.done()
        last.complete(0, -1)
        await answer

    played(scene)


def test_one_refused_batch_fails_the_requests_that_have_records_in_it_and_no_others() -> None:
    async def scene() -> None:
        stage = Stage(Client(partitions=2))
        inside, outside = b"a", b"d"  # of partitions 1 and 0
        whole = stage.line.take([record(outside)])
        broken = [stage.line.take([record(inside)]), stage.line.take([record(inside), record(outside)])]
        await stage.until(lambda: len(stage.batches()) == 2)
        for batch in stage.batches():
            if batch.topic_partition.partition == 1:
                batch.complete_exceptionally(KafkaTimeoutError(), lambda _: KafkaTimeoutError())
            else:
                batch.complete(0, -1)
        results = await asyncio.gather(whole, *broken, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Unavailable, Unavailable]

    played(scene)


def test_a_client_that_is_closed_fails_what_is_handed_to_it() -> None:
    async def scene() -> None:
        stage = Stage(Client())
        stage.client._accumulator.close()
        with pytest.raises(Unavailable, match="IllegalStateError"):
            await stage.line.take([record()])
        assert stage.line.in_flight == 0

    played(scene)


def test_records_without_an_outcome_in_time_fail_with_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "_LONGEST_WAIT_S", 30)

    async def scene() -> None:
        stage = Stage(Client(), answer_s=0.05)
        answers = [stage.line.take([record()])]
        await stage.until(lambda: len(stage.batches()) == 1)
        answers.append(stage.line.take([record()]))
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        assert (stage.silent, len(stage.batches()), stage.line.in_flight) == (1, 1, 0)

    played(scene)


def test_whatever_the_client_raises_nobody_waits_for_an_answer_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a defect of the client")

    monkeypatch.setattr(line_module, "hand_over", broken)

    async def scene() -> None:
        stage = Stage(Client())
        with pytest.raises(Unavailable):
            await stage.line.take([record()])
        assert stage.line.in_flight == 0

    played(scene)
