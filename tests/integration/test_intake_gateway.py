"""Intake's way to the log: whoever posts gets an answer, also from a client that forgot what it was given."""

import asyncio
import time
import uuid

import pytest

from schemas.topics import LEADS_RECEIVED
from services.intake import gateway as gateway_module
from services.intake.gateway import KafkaGateway
from services.runtime.errors import Unavailable
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Message


def message() -> Message:
    return Message(LEADS_RECEIVED.name, b"key", uuid.uuid4().bytes, [("ce_id", b"1")])


async def taken(gateway: KafkaGateway, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            await gateway.publish([message()])
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return True
    return False


def test_a_client_that_gives_no_answer_is_thrown_away_and_the_next_one_is_asked(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topics(kafka, [LEADS_RECEIVED], 2)
    monkeypatch.setattr(gateway_module, "_ANSWER_S", 0.3)

    async def scenario() -> None:
        gateway = KafkaGateway(kafka, [LEADS_RECEIVED.name], "test-gateway", limit=5)
        gateway.start()
        try:
            assert await taken(gateway)
            assert gateway._line is not None
            forgetful = gateway._line.producer
            monkeypatch.setattr(forgetful._sender, "run_once", lambda: time.sleep(0.01))  # as if no answer ever came
            answers = await asyncio.gather(*(gateway.publish([message()]) for _ in range(4)), return_exceptions=True)
            assert [type(a) for a in answers] == [Unavailable] * 4
            assert not gateway.ready
            assert await taken(gateway)
            assert gateway.ready
            assert gateway._line.producer is not forgetful
            await asyncio.gather(*(gateway.publish([message()]) for _ in range(5)))  # none of the four counts any more
            await gateway.publish([message()] * 6)  # more than the limit, and nothing else is in the air
        finally:
            gateway.close()

    asyncio.run(scenario())
