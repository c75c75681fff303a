"""The oracle finds nothing wrong with a real run; each fault that is planted in a copy of it is named, and no other."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.embedded.parts import running_parts
from deploy.embedded.settings import EmbeddedSettings
from schemas import topics as catalogue
from schemas.topics import LEADS_ASSIGNED, LEADS_QUALIFIED, LEADS_TOUCHES, all_topics
from services.cli.__main__ import command_line
from services.cli.installation import Installation
from services.cli.ports import Ports
from services.cli.sending import Ledger
from services.cli.verification import compacted, log, oracle, touches
from services.cli.verification import rules as queries
from services.cli.verification.quiet import until_quiet
from services.cli.verification.report import Report, Violation
from services.cli.verification.workers import group, workers
from services.runtime.kafka.groups import group_offsets
from services.runtime.kafka.topics import create_topics
from services.runtime.service import Service
from services.runtime.transport import Message, Record
from tests.conftest import run_alone
from tests.smtp_sink import smtp_sink
from tests.verified_run import (
    HYDRATED,
    SECRET,
    ask,
    later,
    notices,
    publish_books,
    reports,
    send,
    submissions,
    until,
    working,
)

OUTCOMES = catalogue.destination_outcomes("crm").name
NOT_YET = 4_000_000_000_000
"""Append time of planted records that claim to be newer than the snapshot, in milliseconds."""


@dataclass(frozen=True)
class Run:
    """A run that came to rest: where it is, and what lies outside of its tables."""

    here: Installation
    services: Sequence[Service]
    evidence: oracle.Evidence
    records: list[Record]
    mails: int

    def examine(self, dsn: str | None = None, **changes: Any) -> list[Violation]:
        """What is wrong with it, with these changes."""
        evidence = replace(self.evidence, **{"records": self.records, **changes})
        return oracle.examine(dsn or self.here.postgres, self.services, evidence, Report()).violations

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return ask(self.here.postgres, sql)


@pytest.fixture(scope="module")
def run(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Its own broker, because `verify` reads whole topics."""
    home, name = tmp_path_factory.mktemp("verified"), f"verified_{uuid.uuid4().hex}"
    run_alone(postgres, f'CREATE DATABASE "{name}"')
    named = EmbeddedSettings.model_construct(postgres=urlsplit(postgres)._replace(path=f"/{name}").geturl())
    with pytest.MonkeyPatch.context() as patch, running_parts(home, named) as parts:
        patch.setenv("CAUDAL_SECRET", SECRET)
        patch.delenv("CAUDAL_FAULT", raising=False)
        here = Installation(home, parts.kafka, parts.postgres, Ports(0, 0, 0, 0))
        mails = play(here)
        services = workers(here)
        records = list(log.whole(here.kafka, [t.name for t in all_topics((), ("crm",))]))
        yield Run(here, services, evidence_of(here, services), records, mails)
    run_alone(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


def play(here: Installation) -> int:
    """Everything happens once; how many mails went out."""
    create_topics(here.kafka, tuple(all_topics((), ("crm",))), 2)
    publish_books(here.kafka)
    sent = submissions()
    Ledger(here.ledger / "test.jsonl").note(sorted({*sent.acknowledged, HYDRATED}), "website")
    send(here, [*sent.messages, *notices()])
    with smtp_sink() as sink, working(here, sink.port):
        until(
            here.postgres, "SELECT to_regclass('nurture.step') IS NOT NULL AND to_regclass('router.lead') IS NOT NULL"
        )
        until(here.postgres, "SELECT count(*) > 20 FROM nurture.step WHERE state = 'sent'")
        held = ask(here.postgres, "SELECT lead_id::text FROM router.lead WHERE state = 'assigned' ORDER BY 1 LIMIT 60")
        send(here, [*later(sent.people), *reports([lead_id for (lead_id,) in held])])
        until(here.postgres, "SELECT count(*) = 0 FROM nurture.step WHERE act_at IS NOT NULL")
        until(here.postgres, "SELECT count(*) = 1 FROM intake.notice WHERE state = 'done'")
        until(here.postgres, "SELECT count(*) = 0 FROM router.lead WHERE respond_by < now() + interval '5s'")
        assert until_quiet(here.kafka, here.postgres, workers(here), 30) == []
    return len(sink.mails)


def evidence_of(here: Installation, services: Sequence[Service]) -> oracle.Evidence:
    return oracle.Evidence(
        acknowledged=oracle.acknowledged(here.ledger),
        committed={s.name: group_offsets(here.kafka, group(s)) for s in services},
        records=[], books=list(oracle.books.history(here.kafka)), topics=tuple(all_topics((), ("crm",))),
    )  # fmt: skip


@pytest.fixture
def copy(run: Run, postgres: str) -> Iterator[Callable[[str], str]]:
    """Makes a copy of the run's database and plants a fault in it; gives its DSN."""
    name = f"verified_{uuid.uuid4().hex}"

    def planted(sql: str) -> str:
        run_alone(postgres, f'CREATE DATABASE "{name}" TEMPLATE "{urlsplit(run.here.postgres).path[1:]}"')
        dsn = urlsplit(postgres)._replace(path=f"/{name}").geturl()
        session = psycopg2.connect(dsn)
        with session, session.cursor() as cursor:
            cursor.execute(sql)
            assert cursor.rowcount, "the fault must hit a row"
        session.close()
        return dsn

    yield planted
    run_alone(postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def rules(violations: Sequence[Violation]) -> set[str]:
    assert all(v.ids and v.text for v in violations)
    return {v.rule for v in violations}


def test_a_whole_run_breaks_no_rule_and_everything_happened_in_it(run: Run) -> None:
    report = oracle.verify(run.here, wait=True)
    assert report.violations == []
    figures = report.as_json()
    assert figures["submissions"] == figures["acknowledged"] == 126
    assert figures["leads"] == figures["opened"] == 121
    assert 121 > figures["assigned"] > 60
    assert min(figures["parked"], figures["closed"]) > 5
    assert (figures["attached"], figures["tests"], figures["interests"], figures["disqualified"]) == (1, 2, 1, 1)
    assert figures["mails_sent"] == run.mails > 50  # how many depends on when the reps answer
    assert figures["dead_letters"] == 4
    assert figures["repeated_records"] > 0
    assert (figures["lag"], figures["violations"]) == (0, 0)
    kinds = {dict(r.headers)["ce_type"].decode() for r in run.records if "ce_type" in dict(r.headers)}
    assert {"lead.reassigned", "lead.parked", "lead.closed", "touch.sent", "enrolment.ended", "consent.changed",
            "activity.recorded", "lead.rescored", "alert.raised"} <= kinds  # fmt: skip
    assert json.loads(json.dumps(figures))["broken"] == []


IN_TABLES = {
    "submission_without_one_end": "DELETE FROM qualify.submission WHERE end_state = 'attached'",
    "end_told_otherwise": "UPDATE qualify.submission SET end_state = 'interest' WHERE end_state = 'attached'",
    "not_in_inbox": "DELETE FROM router.inbox WHERE id = (SELECT id FROM router.inbox WHERE state = 'done' LIMIT 1)",
    "reused_id_not_noted": "DELETE FROM qualify.inbox WHERE reason = 'id_reused'",
    "state_not_folded": """UPDATE nurture.lead SET seen_version = 0
        WHERE lead_id = (SELECT lead_id FROM nurture.lead LIMIT 1)""",
    "two_open_leads": """DROP INDEX qualify.one_open_lead;
        INSERT INTO qualify.lead SELECT gen_random_uuid(), person_id, product_line, status, version, document, points
        FROM qualify.lead WHERE status = 'open' LIMIT 1""",
    "asked_in_vain": """UPDATE qualify.lead SET document = replace(
            replace(document, '"submissions":1', '"submissions":2'), '"full_name":"', '"full_name":"\\\\\\u0000')
        WHERE lead_id = (
            SELECT lead_id FROM qualify.lead WHERE status = 'lost' AND document LIKE '%"submissions":1,%' LIMIT 1)""",
    "identifier_of_two_people": """UPDATE qualify.identifier SET person_id = (
            SELECT person_id FROM qualify.person p WHERE p.person_id <> identifier.person_id LIMIT 1)
        WHERE address_hash = (SELECT min(address_hash) FROM qualify.identifier)""",
    "two_owners": """UPDATE router.lead SET rep_id = CASE rep_id WHEN 'gloria' THEN 'harvey' ELSE 'gloria' END
        WHERE lead_id IN (SELECT DISTINCT ON (rep_id) lead_id FROM router.lead WHERE rep_id IN ('gloria', 'harvey'))""",
    "assignment_number_gap": "UPDATE router.rep SET number = number + 1 WHERE rep_id = 'gloria'",
    "load_differs": "UPDATE router.rep SET open_leads = open_leads + 1 WHERE rep_id = 'gloria'",
    "step_told_otherwise": """UPDATE nurture.step SET state = 'failed'
        WHERE (enrolment_id, step) = (SELECT enrolment_id, step FROM nurture.step WHERE state = 'sent' LIMIT 1)""",
    "sent_after_withdrawal": """UPDATE nurture.step SET address = (
            SELECT address FROM nurture.consent WHERE state = 'withdrawn' LIMIT 1)
        WHERE (enrolment_id, step) = (
            SELECT enrolment_id, step FROM nurture.step WHERE state = 'sent' ORDER BY claimed_at DESC LIMIT 1)""",
    "end_not_counted": """UPDATE analytics.submission SET end_state = CASE end_state
            WHEN 'interest' THEN 'disqualified'::analytics.end_state ELSE 'interest' END
        WHERE end_state IN ('interest', 'disqualified')""",
    "arrival_not_counted": """DELETE FROM analytics.submissions WHERE end_state = 'interest';
        UPDATE analytics.submission SET received_at = NULL WHERE end_state = 'interest'""",
    "outcome_not_counted": """UPDATE analytics.lead SET accepted_at = accepted_at + interval '1 day'
        WHERE accepted_at IS NOT NULL""",
    "notice_without_row": "DELETE FROM intake.notice WHERE state = 'pending'",
    "deleted_not_gone": "UPDATE intake.notice SET state = 'dead' WHERE state = 'gone'",
    "hydrated_lead_lost": "UPDATE intake.notice SET submission_id = gen_random_uuid() WHERE state = 'done'",
    "aggregate_differs": """UPDATE analytics.funnel SET leads = leads + 1
        WHERE ctid = (SELECT min(ctid) FROM analytics.funnel)""",
}  # fmt: skip


@pytest.mark.parametrize("rule", IN_TABLES)
def test_a_fault_in_a_table_is_named_and_no_other(run: Run, copy: Callable[[str], str], rule: str) -> None:
    assert rules(run.examine(copy(IN_TABLES[rule]))) == {rule}


def body(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.value or b"null")
    return found


def kind(record: Record) -> str:
    return dict(record.headers).get("ce_type", b"").decode()


def last(run: Run, topic: str, kinds: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> Record:
    """The last record of these kinds whose data fit."""
    return next(r for r in reversed(run.records) if r.topic == topic and kind(r) in kinds.split() and fits(body(r)))


def planted(run: Run, record: Record, as_kind: str = "", same_id: bool = False, **data: Any) -> list[Record]:
    """The log with one more record at the end of its partition: that one once more, with other data."""
    headers = dict(record.headers)
    headers |= {} if same_id else {"ce_id": str(uuid.uuid4()).encode()}
    headers |= {"ce_type": as_kind.encode()} if as_kind else {}
    end = max(r.offset for r in run.records if (r.topic, r.partition) == (record.topic, record.partition)) + 1
    kept = {name: value for name, value in (body(record) | data).items() if value is not None}
    value = json.dumps(kept).encode() if data else record.value
    more = replace(record, offset=end, timestamp_ms=NOT_YET, headers=list(headers.items()), value=value)
    return [*run.records, more]


def highest(run: Run, topic: str, key: bytes | None) -> int:
    return max(int(body(r)["version"]) for r in run.records if r.topic == topic and r.key == key)


def ended_twice(run: Run) -> list[Record]:
    record = last(run, LEADS_QUALIFIED.name, "lead.qualified")
    return planted(run, record, version=highest(run, record.topic, record.key) + 1)


def gap(run: Run) -> list[Record]:
    record = last(run, LEADS_QUALIFIED.name, "lead.rescored")
    return planted(run, record, version=highest(run, record.topic, record.key) + 2)


def version_twice(run: Run) -> list[Record]:
    return planted(run, last(run, LEADS_QUALIFIED.name, "lead.rescored"), rules_version="other")


def other_bytes(run: Run) -> list[Record]:
    return planted(run, last(run, LEADS_TOUCHES.name, "touch.sent"), same_id=True, reason="other")


def unknown_cause(run: Run) -> list[Record]:
    return planted(run, last(run, LEADS_TOUCHES.name, "enrolment.started"), cause_id=str(uuid.uuid4()))


def no_due_time(run: Run) -> list[Record]:
    record = last(run, LEADS_TOUCHES.name, "enrolment.ended", lambda data: "due_at" in data)
    return planted(run, record, due_at=None, applied_until=None)


def fired_early(run: Run) -> list[Record]:
    record = last(run, LEADS_TOUCHES.name, "enrolment.ended", lambda data: "due_at" in data)
    return planted(run, record, applied_until="2001-01-01T00:00:00Z")


def step_twice(run: Run) -> list[Record]:
    return planted(run, last(run, LEADS_TOUCHES.name, "touch.sent"))


def assigned(run: Run, rep: str, owner: Callable[[dict[str, Any]], dict[str, int]] = lambda _: {}) -> list[Record]:
    """The rep's last assignment once more for the same lead, as its next version, with another owner's account."""
    record = max(handed_over(run, rep), key=lambda r: int(body(r)["owner"]["number"]))
    told, version = body(record)["owner"], highest(run, record.topic, record.key) + 1
    return planted(run, record, "lead.reassigned", version=version, owner=told | owner(told))


def handed_over(run: Run, rep: str) -> list[Record]:
    given = (
        r for r in run.records if r.topic == LEADS_ASSIGNED.name and kind(r) in ("lead.assigned", "lead.reassigned")
    )
    return [r for r in given if body(r)["owner"]["rep_id"] == rep]


def rep_with(run: Run, fits: Callable[[dict[str, Any]], bool]) -> str:
    """A rep whose last assignment fits."""
    reps = sorted({body(r)["owner"]["rep_id"] for r in run.records if kind(r) == "lead.assigned"})
    lasts = {
        rep: max((body(r)["owner"] for r in handed_over(run, rep)), key=lambda o: int(o["number"])) for rep in reps
    }
    return next(rep for rep, owner in lasts.items() if fits(owner))


def over_capacity(run: Run) -> list[Record]:
    full = rep_with(run, lambda owner: owner["load"] == owner["capacity"] - 1)
    return assigned(run, full, lambda owner: {"number": owner["number"] + 1, "load": owner["load"] + 1})


def other_capacity(run: Run) -> list[Record]:
    rep = rep_with(run, lambda owner: owner["load"] < owner["capacity"] - 1)
    return assigned(run, rep, lambda owner: {
        "number": owner["number"] + 1, "load": owner["load"] + 1, "capacity": owner["capacity"] + 3})  # fmt: skip


def impossible_load(run: Run) -> list[Record]:
    """A rep tells a load that is more than one above the one before."""
    rep = rep_with(run, lambda owner: owner["load"] + 2 < owner["capacity"])
    return assigned(run, rep, lambda owner: {"number": owner["number"] + 1, "load": owner["load"] + 2})


def test_a_load_below_what_the_rep_holds_is_named_unless_the_log_was_read_further_than_the_table(
    run: Run, copy: Callable[[str], str]
) -> None:
    """Between the two looks a rep may have lost leads and been given another: its load is less than it held then."""
    rep = run.ask("SELECT rep_id FROM router.lead WHERE state = 'assigned' GROUP BY rep_id HAVING count(*) > 2")[0][0]
    ahead = assigned(run, rep, lambda owner: {"number": owner["number"] + 1, "load": 0})
    assert run.examine(records=ahead) == []
    caught_up = copy(f"UPDATE router.rep SET number = number + 1 WHERE rep_id = '{rep}'")
    assert rules(run.examine(caught_up, records=ahead)) == {"load_impossible"}


def stale(run: Run) -> list[Record]:
    """A state that was overtaken is written once more."""
    newer = last(run, LEADS_ASSIGNED.name, "lead.closed lead.updated lead.reassigned")
    older = next(r for r in run.records if r.key == newer.key and r.topic == newer.topic)
    return planted(run, older, same_id=True)


ON_THE_LOG: dict[str, Callable[[Run], list[Record]]] = {
    "submission_ended_twice": ended_twice,
    "version_gap": gap,
    "version_told_twice": version_twice,
    "same_id_other_bytes": other_bytes,
    "cause_unknown": unknown_cause,
    "clock_without_due_time": no_due_time,
    "clock_fired_early": fired_early,
    "step_done_twice": step_twice,
    "assignment_number_twice": lambda run: assigned(run, "gloria"),
    "over_capacity": over_capacity,
    "capacity_not_of_book": other_capacity,
    "load_impossible": impossible_load,
    "compacted_stale": stale,
}


@pytest.mark.parametrize("rule", ON_THE_LOG)
def test_a_fault_on_the_log_is_named_and_no_other(run: Run, rule: str) -> None:
    assert rules(run.examine(records=ON_THE_LOG[rule](run))) == {rule}


def test_a_submission_that_a_sender_was_told_of_must_be_somewhere(run: Run) -> None:
    lost = str(uuid.uuid4())
    (violation,) = run.examine(acknowledged={lost})
    assert (violation.rule, violation.ids) == ("acknowledged_lost", (lost,))


def test_an_offset_beyond_what_was_applied_is_named(run: Run) -> None:
    committed = dict(run.evidence.committed["router"])
    committed[LEADS_QUALIFIED.name, 0] += 5
    changed = {**run.evidence.committed, "router": committed}
    assert rules(run.examine(committed=changed)) == {"offset_ahead_of_fence"}


def test_versions_that_only_analytics_kept_fill_a_gap_on_the_log(run: Run) -> None:
    record = last(run, LEADS_ASSIGNED.name, "lead.reassigned")
    first = next(r for r in run.records if (r.topic, r.key) == (record.topic, record.key) and body(r)["version"] == 1)
    younger = [r for r in run.records if (r.topic, r.key) != (first.topic, first.key) or body(r)["version"] != 1]
    assert run.examine(records=younger) == []


def test_a_stale_key_is_mended_with_the_bytes_that_the_table_holds(run: Run) -> None:
    again = stale(run)[-1]
    send(run.here, [Message(again.topic, again.key, again.value, again.headers)])
    assert rules(oracle.verify(run.here, wait=False).violations) == {"compacted_stale"}
    mended = oracle.verify(run.here, wait=False, repair=True)
    assert (mended.violations, mended.figures["repaired"]) == ([], 1)
    report = oracle.verify(run.here, wait=False)
    assert (report.violations, report.figures["repaired"]) == ([], 0)


def test_what_is_still_on_its_way_is_named_after_the_wait(run: Run, copy: Callable[[str], str]) -> None:
    dsn = copy("INSERT INTO router.outbox (slot, frame) VALUES (1, 'x')")
    send(run.here, [Message(OUTCOMES, b"x", b"x", [])])
    found = until_quiet(run.here.kafka, dsn, run.services, 0.1)
    assert "outbox of router holds 1" in found
    assert "group caudal.router is 1 records behind" in found


def test_the_command_prints_figures_and_broken_rules_and_its_exit_code_says_whether_there_are_any(
    run: Run, copy: Callable[[str], str], tmp_path: Path
) -> None:
    environment = {"CAUDAL_HOME": str(tmp_path), "CAUDAL_KAFKA": run.here.kafka, "CAUDAL_SECRET": SECRET}
    app = command_line(["verify"])
    well = CliRunner().invoke(app, ["verify", "--json"], env=environment | {"CAUDAL_POSTGRES": run.here.postgres})
    assert (well.exit_code, json.loads(well.stdout)["violations"]) == (0, 0)
    dsn = copy(IN_TABLES["load_differs"])
    ill = CliRunner().invoke(app, ["verify"], env=environment | {"CAUDAL_POSTGRES": dsn, "COLUMNS": "200"})
    assert ill.exit_code == 1
    assert "load_differs" in ill.stdout
    assert "gloria: " in ill.stdout


def test_a_table_shows_at_most_five_ids_and_json_all() -> None:
    report = Report({"leads": 3})
    report.add("two_owners", "which it must not have", [f"lead {n}" for n in range(9)])
    report.add("never_broken", "nothing", [])
    assert report.as_json() == {
        "leads": 3, "violations": 9,
        "broken": [{"rule": "two_owners", "text": "which it must not have", "ids": [f"lead {n}" for n in range(9)]}],
    }  # fmt: skip
    with (console := Console(width=120)).capture() as shown:
        console.print(report.as_tables())
    assert "lead 4" in shown.get()
    assert not any(text in shown.get() for text in ("lead 5", "never_broken"))


def test_every_rule_has_a_planted_fault() -> None:
    families = (*queries.FAMILIES, *queries.OF_ONE, queries.PER_SERVICE)
    names = {name for family in families for name, _, _ in queries.queries(family)}
    elsewhere = {"acknowledged_lost", "offset_ahead_of_fence"}
    assert names | {touches.RULE, compacted.RULE, "aggregate_differs"} == {*IN_TABLES, *ON_THE_LOG, *elsewhere}
