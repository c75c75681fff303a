"""What must hold once all is quiet: `verify`, and what only a run knows that has seen who was killed and when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from schemas.topics import DEADLETTERS, LEADS_ASSIGNED, LEADS_RECEIVED, destination_outcomes
from services.cli.verification.oracle import verify
from services.runtime.kafka.reader import Reader
from services.runtime.transport import Record
from tests.crash.gauges import mails, quiet
from tests.crash.harness import Stand
from tests.crash.scenarios import POINTS

POISON = frozenset(("no_event_id", "empty", "schema", "unknown_type", "data_refused", "id_reused"))
"""Why the load's poison is refused."""


def judge(stand: Stand) -> None:
    """Note every violation as a trouble of the stand."""
    quiet(stand, 600)
    report = verify(stand.here, wait=True, timeout_s=60)
    stand.say("verify: " + " ".join(f"{name}={value}" for name, value in report.figures.items()))
    for violation in report.violations:
        stand.trouble(f"{violation.rule}: {violation.text}: {len(violation.ids)} times, as {violation.ids[:3]}")
    for text in (*_buried(stand), *_taken_away(stand), *_mailed_twice(stand)):
        stand.trouble(text)


def all_hit(stand: Stand, times: int) -> None:
    """Every fault point of every service was hit so many times."""
    for service, points in POINTS.items():
        stand.say(
            f"{service} was hit at " + ", ".join(f"{point} {stand.hits[service, point]} times" for point in points)
        )
        for point in points:
            if stand.hits[service, point] < times:
                stand.trouble(f"{service} was hit {stand.hits[service, point]} times at {point}, wanted {times}")


def _records(stand: Stand, topic: str) -> Iterator[Record]:
    reader = Reader(stand.here.kafka, [topic])
    try:
        yield from reader.to_end(600)
    finally:
        reader.close()


def _buried(stand: Stand) -> Iterator[str]:
    """No dead letter but for the poison: none because a part was away or a worker died."""
    letters = [json.loads(record.value or b"{}") for record in _records(stand, DEADLETTERS.name)]
    counts = Counter((letter["service"], letter["topic"], letter["reason"]) for letter in letters)
    stand.say(f"dead letters: {dict(counts)}")
    for (service, topic, reason), count in counts.items():
        if topic != LEADS_RECEIVED.name or reason not in POISON:
            yield f"{count} dead letters of {service} about {topic}: {reason}"


def _taken_away(stand: Stand) -> Iterator[str]:
    """No lead goes to another rep although its rep's acceptance lay on the log when the answer was due."""
    accepted: dict[tuple[str, str], int] = {}
    for record in _records(stand, destination_outcomes("crm").name):
        if dict(record.headers).get("ce_type") == b"lead.accepted":
            said = json.loads(record.value or b"{}")
            accepted.setdefault((said["lead_id"], said["rep_id"]), record.timestamp_ms)
    clocks = 0
    for record in _records(stand, LEADS_ASSIGNED.name):
        told = json.loads(record.value or b"{}")
        if told.get("due_at") is None or told.get("previous_owner") is None:
            continue
        clocks += 1
        due_ms = datetime.fromisoformat(told["due_at"]).timestamp() * 1000
        if accepted.get((told["lead_id"], told["previous_owner"]), due_ms) < due_ms:
            yield f"lead {told['lead_id']} was taken from {told['previous_owner']}, who had accepted it in time"
    stand.say(f"{clocks} leads went on because nobody answered in time; {len(accepted)} acceptances")


def _mailed_twice(stand: Stand) -> Iterator[str]:
    """A mail goes out twice at most once for each death of nurture."""
    taken = mails(stand)
    twice, deaths = taken["mails"] - taken["message_ids"], stand.killed["nurture"]
    stand.say(f"{taken['mails']} mails, {twice} of them for the second time after {deaths} deaths of nurture")
    if twice > deaths:
        yield f"{twice} mails went out twice, after {deaths} deaths of nurture"
