"""What becomes of a producer that the broker did not answer."""

import threading
import time
import uuid

import pytest

from schemas.topics import LEADS_RECEIVED
from services.runtime.errors import Unavailable
from services.runtime.kafka import producer as kafka_producer
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Message


def test_a_producer_that_failed_leaves_no_thread_that_sends_later(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sender ends with it; the next publication goes out over a new one."""
    create_topics(kafka, (LEADS_RECEIVED,), 6)
    name = f"mute-{uuid.uuid4().hex}"
    producer = LogProducer(kafka, name)
    records = [Message(LEADS_RECEIVED.name, b"key", b"", [])]
    producer.publish(records, lambda: True)
    mute = producer._client._sender
    monkeypatch.setattr(mute, "run_once", lambda: time.sleep(0.01))  # as if no answer ever came
    with monkeypatch.context() as impatient:
        impatient.setattr(kafka_producer, "DELIVERY_MS", 100)
        with pytest.raises(Unavailable):
            producer.publish(records, lambda: True)
    assert _ends_within(mute, 5), "its thread lives on and may send what nobody waits for any more"
    producer.publish(records, lambda: True)
    producer.close()
    assert not [t for t in threading.enumerate() if t.name.startswith(name)]


def _ends_within(thread: threading.Thread, seconds: float) -> bool:
    thread.join(seconds)
    return not thread.is_alive()
