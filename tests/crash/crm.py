"""A CRM that answers a part of the leads, some too late, so that every clock and every outcome has work."""

from __future__ import annotations

import heapq
import json
import os
import signal
import time
from hashlib import sha256

from schemas import codec
from schemas.events.event import derived_id
from schemas.topics import LEADS_ASSIGNED, destination_outcomes
from services.runtime.errors import Unavailable
from services.runtime.kafka.producer import LogProducer
from services.runtime.kafka.reader import Reader
from services.runtime.transport import Message, Record

OUTCOMES = destination_outcomes("crm").name
STORIES = (
    *[("lead.accepted", "lead.won")] * 3, *[("lead.accepted", "lead.lost")] * 3, *[("lead.returned",)] * 2,
    *[("lead.accepted",)] * 12,
)  # fmt: skip
Due = tuple[float, str, Message]


def answers(record: Record, now: float) -> list[Due]:
    """What this owner will say of a lead, and when: seven of ten hot leads are answered, one of ten others."""
    kind = dict(record.headers).get("ce_type")
    if record.value is None or kind not in (b"lead.assigned", b"lead.reassigned"):
        return []
    data = json.loads(record.value)
    lead_id, attempt, owner = data["lead_id"], data["attempt"], data["owner"]
    luck = int(sha256(f"{lead_id}{attempt}".encode()).hexdigest()[:8], 16)
    if luck % 10 >= (7 if data["lead"]["warmth"] == "hot" else 1):
        return []
    first = now + 0.3 + luck // 10 % 100 / 30  # up to 3.6 s: some come after the deadline of 3 s
    story = STORIES[luck // 1000 % len(STORIES)]
    said = []
    for n, what in enumerate(story):
        report_id = derived_id(lead_id, f"{attempt} {what}")
        value = json.dumps({"lead_id": lead_id, "rep_id": owner["rep_id"]}).encode()
        report = Message(OUTCOMES, lead_id.encode(), value, codec.write(report_id, what, "crash-crm"))
        said.append((first + n, report_id, report))
    return said


def main() -> None:
    """Answer until SIGTERM; what the broker did not acknowledge is reported again under the same id."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    servers, waiting = os.environ["CAUDAL_KAFKA"], list[Due]()
    reader, producer = Reader(servers, [LEADS_ASSIGNED.name]), LogProducer(servers, "crash-crm")
    while True:
        try:
            for record in reader.poll(0.2):
                for due in answers(record, time.time()):
                    heapq.heappush(waiting, due)
            _report(producer, _ready(waiting))
        except Unavailable:
            time.sleep(0.2)


def _ready(waiting: list[Due]) -> list[Due]:
    ready, now = [], time.time()
    while waiting and waiting[0][0] <= now:
        ready.append(heapq.heappop(waiting))
    return ready


def _report(producer: LogProducer, ready: list[Due]) -> None:
    while ready:
        try:
            producer.publish([report for _, _, report in ready], lambda: True)
            return
        except Unavailable:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
