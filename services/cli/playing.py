"""Playing a day of parcels: each to intake or to its platform's topic at its time, and what was answered noted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from queue import Empty, SimpleQueue

from deploy.demo.day import CSV, JSON, PLATFORM, Parcel
from deploy.embedded.parts import begun
from schemas import codec
from schemas.topics import source_topic
from services.cli import sending
from services.cli.leadfiles import read_leads
from services.cli.send import batches, faults
from services.intake.arrival import Accepted, Arrival
from services.intake.parse import parse_item
from services.intake.sources.source import Source
from services.intake.submission import read_lead
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import LogProducer
from services.runtime.transport import Message

POSTERS = 8
FLUSH = 200
LAST_FLUSH_S = 1.0
LIST_BATCH = 100


@dataclass(slots=True)
class Tally:
    """What was sent and what was said to it; `at` is the time of day that the play has reached, in seconds."""

    ledger: sending.Ledger
    at: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, source: str, ids: Sequence[str], acknowledged: int, refusals: Sequence[str] = ()) -> None:
        """One answer: how many were acknowledged, the ids of submissions among them, a code for each refused."""
        with self._lock:
            self.ledger.note(ids, source)
            self.sent += acknowledged + len(refusals)
            self.acknowledged += acknowledged
            self.refused.update(refusals)

    def pause(self, seconds: float) -> None:
        """Wait before trying again; `Refused` if the play ends meanwhile."""
        if self.stopping.wait(seconds):
            raise sending.Refused("no_answer", "the play was ended before intake answered")


@dataclass(frozen=True, slots=True)
class Ways:
    """Where parcels go: intake's URL with the sources' keys; the broker with the platform's source and our secret."""

    url: str
    keys: dict[str, str]
    kafka: str
    platform: Source
    secret: str


def play(parcels: Sequence[Parcel], seconds: float, ways: Ways, tally: Tally, look: Callable[[], None]) -> None:
    """Send all parcels, the day pressed into so many seconds (0: as fast as they are answered); `look` is called often.

    Returns once everything is answered. What intake refuses is tallied; anything else that fails is raised.
    """
    queue: SimpleQueue[Parcel | None] = SimpleQueue()
    pool, writing = ThreadPoolExecutor(POSTERS), begun(lambda: _write(queue, ways, tally))
    answers: list[Future[None]] = [writing]
    began, first, room = time.monotonic(), parcels[0].at, threading.Semaphore(4 * POSTERS)
    try:
        for parcel in parcels:
            due = began + (parcel.at - first) * seconds / 86_400
            while (left := due - time.monotonic()) > 0:
                look()
                time.sleep(min(left, 0.1))
            tally.at = parcel.at
            if parcel.source == PLATFORM:
                queue.put(parcel)
            else:
                while not room.acquire(timeout=0.1):
                    look()
                answers.append(pool.submit(_post, parcel, ways, tally))
                answers[-1].add_done_callback(lambda _: room.release())
            look()
        queue.put(None)
        while not all(answer.done() for answer in answers):
            look()
            time.sleep(0.05)
        for answer in answers:
            answer.result()
    finally:
        tally.stopping.set()
        queue.put(None)
        pool.shutdown(wait=True, cancel_futures=True)
        wait([writing], LAST_FLUSH_S)  # a broker that is gone would hold it longer


def _post(parcel: Parcel, ways: Ways, tally: Tally) -> None:
    """One HTTP request; a CSV list is posted row by row in JSON batches, as an importer does."""
    listed = parcel.content_type == CSV
    bodies = list(batches(read_leads(parcel.body), LIST_BATCH)) if listed else [parcel.body]
    for body in bodies:
        try:
            content_type = JSON if listed else parcel.content_type
            answer = sending.post(ways.url, body, ways.keys[parcel.source], content_type, pause=tally.pause)
        except sending.Refused as error:
            tally.answered(parcel.source, (), 0, [error.code])
        else:
            ids = sending.submission_ids(answer)
            tally.answered(parcel.source, ids, len(ids), [code for _, code, _ in faults(answer)])


def _write(queue: SimpleQueue[Parcel | None], ways: Ways, tally: Tally) -> None:
    """The platform: writes what has come in to its own topic, and sees it acknowledged."""
    producer, more = LogProducer(ways.kafka, PLATFORM), True
    try:
        while more:
            waiting = [queue.get()]
            with suppress(Empty):
                while len(waiting) < FLUSH:
                    waiting.append(queue.get_nowait())
            more = None not in waiting
            _flush(producer, [parcel for parcel in waiting if parcel is not None], ways, tally)
    finally:
        producer.close()


def _flush(producer: LogProducer, parcels: Sequence[Parcel], ways: Ways, tally: Tally) -> None:
    messages = [_message(parcel) for parcel in parcels]
    try:
        producer.publish(messages, lambda: True)
    except Unavailable:
        tally.answered(PLATFORM, (), 0, ["no_answer"] * len(parcels))
    else:
        ids = filter(None, (submission_id(message, ways.platform, ways.secret) for message in messages))
        tally.answered(PLATFORM, list(ids), len(parcels))


def _message(parcel: Parcel) -> Message:
    key = sha256(parcel.body).hexdigest()[:16].encode()
    return Message(source_topic(PLATFORM).name, key, parcel.body, [("content-type", parcel.content_type.encode())])


def submission_id(message: Message, source: Source, secret: str) -> str | None:
    """Id that intake will give to what a platform wrote; None where it is no submission, but a dead letter."""
    now, topic = datetime.now(UTC), source_topic(source.name)
    try:
        read = codec.read(topic, message.key, message.value, message.headers, now.date().isoformat())
    except codec.Unreadable:
        return None
    content = parse_item(read.body)
    if not isinstance(content, dict):
        return None
    found = read_lead(Arrival(source, content, read.body.decode(), read.id, now, now, secret))
    return found.id if isinstance(found, Accepted) else None
