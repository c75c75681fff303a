"""Records written while the broker is frozen or dead: whoever wrote is told in time, and nothing goes out late."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.embedded.parts import running_parts
from schemas.topics import LEADS_RECEIVED
from services.intake.gateway import KafkaGateway
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Message


@dataclass(frozen=True)
class Broker:
    """A broker of this test's own, which may be frozen and killed."""

    servers: str
    home: Path

    def tell(self, number: signal.Signals) -> None:
        os.kill(json.loads((self.home / "run" / "kafka.json").read_text())["pid"], number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self.tell(signal.SIGCONT)

    def values(self) -> list[bytes | None]:
        reader = Reader(self.servers, [LEADS_RECEIVED.name])
        found = [record.value for record in reader.to_end()]
        reader.close()
        return found


@contextmanager
def broker(home: Path) -> Iterator[Broker]:
    with running_parts(home) as parts:
        create_topics(parts.kafka, [LEADS_RECEIVED], 1)
        yield Broker(parts.kafka, home)


def message(value: bytes) -> Message:
    return Message(LEADS_RECEIVED.name, b"key", value, [("ce_id", b"1")])


def test_what_a_worker_could_not_write_never_goes_out_late(tmp_path: Path) -> None:
    """A successor may have taken over meanwhile: its records would be followed by ours, which are older."""
    with broker(tmp_path) as here:
        producer = LogProducer(here.servers, "test")
        producer.publish([message(b"before")], lambda: True)
        here.tell(signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"acknowledged 0 of 2 records: _MSG_TIMED_OUT"):
            producer.publish([message(b"late")] * 2, lambda: True)
    with broker(tmp_path) as here:
        producer.publish([message(b"after")], lambda: True)
        producer.close()
        assert here.values() == [b"before", b"after"]


def test_who_posts_while_the_broker_is_frozen_hears_so_and_is_served_again_afterwards(tmp_path: Path) -> None:
    async def taken(gateway: KafkaGateway, value: bytes) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                return await gateway.publish([message(value)])
            except Unavailable:
                assert time.monotonic() < deadline, "the broker is there, and nothing is taken"
                await asyncio.sleep(0.1)

    async def scenario(here: Broker) -> None:
        gateway = KafkaGateway(here.servers, [LEADS_RECEIVED.name], "test")
        gateway.start()
        try:
            await taken(gateway, b"before")
            with here.frozen():
                posts = (gateway.publish([message(b"meanwhile")]) for _ in range(20))
                answers = await asyncio.wait_for(asyncio.gather(*posts, return_exceptions=True), 30)
                assert [type(answer) for answer in answers] == [Unavailable] * 20
                assert (gateway.ready, gateway.in_flight) == (False, 0)
            await taken(gateway, b"after")
            assert gateway.ready
        finally:
            gateway.close()
        assert {b"before", b"after"} <= set(here.values())

    with broker(tmp_path) as here:
        asyncio.run(scenario(here))
