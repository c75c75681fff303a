"""A sample CRM, to copy from: keeps the leads that are its own, and reports what became of them; SIGTERM ends it.

Keep the highest `version` per lead, for records may come twice and in another order. A lead is yours while its state is
`assigned` and its owner's destination is you; any other state, or no value: not yours any more.
"""

import argparse
import json
import signal
import sqlite3
import time
import uuid
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

TABLE = "CREATE TABLE IF NOT EXISTS lead (id PRIMARY KEY, version, mine, rep, told, attempt, step, due)"
KEEP = """INSERT INTO lead (id, version, mine, rep, told, attempt, step, due) VALUES (?, ?, ?, ?, ?, ?, 0, ?)
 ON CONFLICT (id) DO UPDATE SET (version, mine, rep, told, due) = (excluded.version, excluded.mine, excluded.rep,
 excluded.told, excluded.due), step = CASE WHEN attempt IS excluded.attempt THEN step ELSE 0 END,
 attempt = excluded.attempt WHERE excluded.version > version"""
DUE = "SELECT id, rep, told, attempt, step, due FROM lead WHERE mine AND due <= ? ORDER BY due LIMIT 2000"
NEXT = "UPDATE lead SET step = step + 1, due = ? WHERE id = ?"
Reports = list[tuple[str, dict[str, Any]]]


def story(lead_id: str, attempt: int) -> Reports:
    """What this owner will report of a lead, in order, always the same; a few get no answer and go to a colleague."""
    luck = uuid.uuid5(uuid.NAMESPACE_OID, f"{lead_id}/{attempt}").int
    talks: Reports = [("lead.stage_changed", {"stage": stage}) for stage in ("contacted", "proposal")]
    ends: Reports = [("lead.won", {"value": 500 + luck % 24_000, "currency": "EUR"}), ("lead.lost", {"reason": "cost"})]
    return [] if luck % 100 < 7 else [("lead.accepted", {}), *talks[: luck // 100 % 3], *ends[luck // 300 % 7 :][:1]]


def take(db: sqlite3.Connection, record: Any, me: argparse.Namespace) -> None:
    """Keep what a record says, unless something newer is known already."""
    if record.value is None:
        db.execute("UPDATE lead SET mine = 0 WHERE id = ?", (record.key.decode(),))
        return
    lead = json.loads(record.value)
    owner = lead.get("owner") or {}
    mine = lead["state"] == "assigned" and owner.get("destination") == me.destination
    told, due = lead["lead"]["submissions"], time.time() + me.pace
    db.execute(KEEP, (lead["lead_id"], lead["version"], mine, owner.get("rep_id"), told, lead["attempt"], due))


def report(db: sqlite3.Connection, outcomes: KafkaProducer, me: argparse.Namespace) -> None:
    """Report what is due. What is sent again after a crash has the same id, so it counts once."""
    sent = []
    for lead_id, rep, told, attempt, step, due in db.execute(DUE, (time.time(),)).fetchall():
        left = story(lead_id, attempt)[step:]
        for kind, data in left[:1]:
            ce = {"id": f"{lead_id}/{attempt}/{step}", "type": kind, "source": "sample-crm", "specversion": "1.0"}
            value = json.dumps({"lead_id": lead_id, "rep_id": rep, "seen_submissions": told, **data}).encode()
            headers = [(f"ce_{name}", text.encode()) for name, text in ce.items()]
            sent.append(outcomes.send(f"crm.{me.destination}.outcomes.v1", value, lead_id.encode(), headers))
        db.execute(NEXT, (due + me.pace if left[1:] else None, lead_id))
    for future in sent:
        future.get(timeout=30)  # raises where the broker did not acknowledge: then nothing of this round is kept


if __name__ == "__main__":
    ask = argparse.ArgumentParser()
    for name, default in {"kafka": "127.0.0.1:9092", "file": "crm.sqlite", "destination": "crm", "pace": 4.0}.items():
        ask.add_argument(f"--{name}", default=default, type=type(default))
    me = ask.parse_args()
    group = {"group_id": f"sample-{me.destination}", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    leads = KafkaConsumer("leads.assigned.v1", bootstrap_servers=me.kafka, session_timeout_ms=10_000, **group)
    outcomes, db = KafkaProducer(bootstrap_servers=me.kafka, acks="all"), sqlite3.connect(me.file)
    db.execute(TABLE)
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_stop.append(number))
    while not asked_to_stop:
        for batch in leads.poll(timeout_ms=200, max_records=2000).values():
            for record in batch:
                take(db, record, me)
        report(db, outcomes, me)
        db.commit()
        leads.commit_async()  # what is read again is known by its version
    leads.close(timeout_ms=3000)
