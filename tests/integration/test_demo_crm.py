"""The sample CRM, the program as it is, on real Kafka: what it holds and what it reports."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from deploy.demo import crm
from schemas.topics import LEADS_ASSIGNED, destination_outcomes
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from services.runtime.transport import Record

PROGRAM = str(files("deploy.demo").joinpath("crm.py"))
Row = tuple[int, int, str | None, int]


class Stage:
    """A destination of its own on the shared broker, and the program that serves it."""

    def __init__(self, servers: str, folder: Path) -> None:
        self.servers, self.file, self.name = servers, folder / "crm.sqlite", f"crm-{uuid4().hex[:8]}"
        self.outcomes = destination_outcomes(self.name)
        create_topics(servers, (LEADS_ASSIGNED, self.outcomes), 3)
        self.producer = KafkaProducer(bootstrap_servers=servers, acks="all")
        self.program: subprocess.Popen[bytes] | None = None

    def start(self, pace: float) -> None:
        argv = [sys.executable, PROGRAM, "--kafka", self.servers, "--file", str(self.file)]
        self.program = subprocess.Popen([*argv, "--destination", self.name, "--pace", str(pace)])

    def stop(self, kill: bool = False) -> None:
        if self.program:
            (self.program.kill if kill else self.program.terminate)()
            self.program.wait(20)

    def write(self, lead: str, value: dict[str, Any] | None) -> None:
        self.producer.send(LEADS_ASSIGNED.name, json.dumps(value).encode() if value else None, lead.encode())
        self.producer.flush()

    def held(self) -> dict[str, Row]:
        if not self.file.exists():
            return {}
        with sqlite3.connect(self.file, timeout=10) as db:
            try:
                rows = db.execute("SELECT id, version, mine, rep, attempt FROM lead").fetchall()
            except sqlite3.OperationalError:
                return {}
        return {lead: tuple(row) for lead, *row in rows}

    def reported(self) -> list[Record]:
        reader = Reader(self.servers, [self.outcomes.name])
        try:
            return list(reader.to_end())
        finally:
            reader.close()


@pytest.fixture
def stage(kafka: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(kafka, tmp_path)
    yield stage
    stage.stop()
    stage.producer.close()


def until(true: Callable[[], object], seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.1)


def said(stage: Stage, lead: str, version: int, rep: str | None, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    owner = {"rep_id": rep, "destination": stage.name} if rep else None
    state = "assigned" if rep else "parked"
    return {
        "lead_id": lead,
        "version": version,
        "state": state,
        "owner": owner,
        "attempt": attempt,
        "lead": {"submissions": 1},
        **changes,
    }


def in_every_order(states: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Swapped and repeated: the newest first, everything backwards, then all once more as it was."""
    yield from (states[-1], *reversed(states), *states)


def test_it_holds_the_right_state_when_records_are_swapped_and_repeated(stage: Stage) -> None:
    kept, moved, gone, parked, others, dead = (f"{name}-{stage.name}" for name in "abcdef")
    elsewhere = {"rep_id": "zoe", "destination": "another"}
    story: dict[str, list[dict[str, Any]]] = {
        kept: [said(stage, kept, 1, "ana"), said(stage, kept, 2, "ana"), said(stage, kept, 3, "ana")],
        moved: [said(stage, moved, 1, "ana"), said(stage, moved, 2, "luis", 2)],
        gone: [said(stage, gone, 1, "ana"), said(stage, gone, 2, "ana", state="closed")],
        parked: [said(stage, parked, 1, "ana"), said(stage, parked, 2, None, 1)],
        others: [said(stage, others, 1, "ana"), said(stage, others, 2, "zoe", 2, owner=elsewhere)],
    }
    for lead, states in story.items():
        for state in in_every_order(states):
            stage.write(lead, state)
    for record in (said(stage, dead, 1, "ana"), None, said(stage, dead, 1, "ana")):
        stage.write(dead, record)
    stage.start(pace=3600)
    expected = {
        kept: (3, 1, "ana", 1), moved: (2, 1, "luis", 2), gone: (2, 0, "ana", 1), parked: (2, 0, None, 1),
        others: (2, 0, "zoe", 2), dead: (1, 0, "ana", 1),
    }  # fmt: skip
    until(lambda: expected.keys() <= stage.held().keys() and settled(stage))
    assert {lead: row for lead, row in stage.held().items() if lead in expected} == expected
    assert stage.reported() == []


def settled(stage: Stage) -> bool:
    """Whether all of the log is in: a last lead, written to every partition, is held under its last name."""
    for partition in stage.producer.partitions_for(LEADS_ASSIGNED.name):
        value = json.dumps(said(stage, f"last-{partition}-{stage.name}", 1, None)).encode()
        stage.producer.send(LEADS_ASSIGNED.name, value, b"last", partition=partition)
    stage.producer.flush()
    names = {f"last-{p}-{stage.name}" for p in stage.producer.partitions_for(LEADS_ASSIGNED.name)}
    until(lambda: names <= stage.held().keys())
    return True


def test_it_reports_each_step_once_even_if_it_is_killed_in_between(stage: Stage) -> None:
    leads = [str(uuid4()) for _ in range(60)]
    for lead in leads:
        stage.write(lead, said(stage, lead, 1, "ana"))
    wanted = {(lead, kind) for lead in leads for kind, _ in crm.story(lead, 1)}
    stage.start(pace=0.3)
    until(lambda: len(stage.reported()) > 20)
    stage.stop(kill=True)
    stage.start(pace=0.3)
    until(lambda: {(key(r), header(r, "ce_type")) for r in stage.reported()} == wanted)
    by_id: dict[str, set[bytes]] = {}
    for record in stage.reported():
        assert json.loads(record.value or b"")["rep_id"] == "ana"
        by_id.setdefault(header(record, "ce_id"), set()).add(record.value or b"")
    assert len(by_id) == sum(len(crm.story(lead, 1)) for lead in leads)
    assert all(len(values) == 1 for values in by_id.values()), "what is sent again has the same id and the same words"


def test_most_leads_are_accepted_some_are_won_or_lost_and_a_few_never_answered() -> None:
    stories = [crm.story(f"lead {n}", 1) for n in range(2000)]
    last = [steps[-1][0] if steps else "never" for steps in stories]
    assert all(steps[0][0] == "lead.accepted" for steps in stories if steps)
    assert 0.04 < last.count("never") / 2000 < 0.1
    assert 0.08 < last.count("lead.won") / 2000 < 0.2
    assert 0.08 < last.count("lead.lost") / 2000 < 0.2
    assert stories == [crm.story(f"lead {n}", 1) for n in range(2000)]


def test_the_program_has_at_most_80_lines_and_needs_only_the_client_and_the_standard_library() -> None:
    text = Path(PROGRAM).read_text()
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert len(text.splitlines()) <= 80
    assert imported - sys.stdlib_module_names == {"kafka"}


def key(record: Record) -> str:
    return (record.key or b"").decode()


def header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()
