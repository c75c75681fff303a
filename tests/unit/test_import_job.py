"""An import sends every row once, whatever interrupts it, and remembers on disk how far it is."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli.importjob import Ready
from services.cli.importshow import outcome, preview_table, runs_table
from services.intake.files import jobs
from services.intake.files.faults import BadRow, FileRefused
from services.intake.files.importing import Import
from services.intake.files.items import Item
from services.intake.files.jobs import Counts, Job, all_runs, held, job_name, jobs_folder, read_job, write_job
from services.intake.files.layout import Asked, look
from services.intake.files.opened import opened
from services.intake.files.seen import Seen
from services.intake.files.submissions import Terms, listed_source, submission
from services.intake.sources.source import Source
from services.runtime.errors import Unavailable
from services.runtime.transport import Message

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SECRET = "a secret of the tests, 32 letters"
FAIR = Source(name="fair", kind="file", region="ES", required=("email|phone",))


def terms(list_name: str = "fair 2026", **more: object) -> Terms:
    return Terms(**{"source": FAIR, "what": "leads", "list_name": list_name, "fields": {}, "defaults": {},
                    "secret": SECRET, **more})  # type: ignore[arg-type]  # fmt: skip


def items(*emails: str) -> list[Item | BadRow]:
    return [Item(n, (e,), {"email": e}, f'{{"email":"{e}"}}') for n, e in enumerate(emails, start=2)]


@dataclass
class Log:
    """An outlet that keeps what it is given; `dies_after` so many portions, which may be on the log all the same."""

    portion: int = 2
    dies_after: int = 10**9
    messages: list[Message] = field(default_factory=list)
    published: int = 0

    def room(self) -> int:
        return self.portion

    def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages
        self.published += 1
        if self.published > self.dies_after:
            raise Unavailable("killed between the broker and our note")

    @property
    def ids(self) -> list[str]:
        return [dict(m.headers)["ce_id"].decode() for m in self.messages]


@dataclass
class Rejected:
    rows: list[tuple[int, str]] = field(default_factory=list)

    def note(self, number: int, cells: Sequence[str], code: str, message: str) -> None:
        self.rows.append((number, code))

    def flush(self) -> None:
        """Nothing is held back."""


def run(
    file: Path, log: Log, rows: Sequence[Item | BadRow], list_name: str = "fair 2026"
) -> tuple[Counts, list[tuple[int, str]]]:
    seen, rejected = Seen(file), Rejected()
    of = Import(terms(list_name), seen, rejected, log, lambda: NOW, lambda _: None, lambda _: None, lambda: False)
    try:
        of.run(rows)
    finally:
        seen.close()
    return of.counts, rejected.rows


def test_the_same_list_again_adds_nothing_and_a_longer_one_what_is_new(tmp_path: Path) -> None:
    log, rows = Log(), items("a@example.com", "b@example.com", "c@example.com")
    assert run(tmp_path / "rows", log, rows)[0].sent == 3
    assert run(tmp_path / "rows", log, rows)[0] == Counts(read=3, sent=0, known=3)
    assert run(tmp_path / "rows", log, items("a@example.com", "d@example.com", "b@example.com"))[0].sent == 1
    assert len(set(log.ids)) == len(log.ids) == 4


def test_twins_in_one_list_are_two_submissions_and_the_same_row_in_another_list_is_another(tmp_path: Path) -> None:
    log, rows = Log(), items("a@example.com", "a@example.com")
    run(tmp_path / "one", log, rows)
    run(tmp_path / "two", log, rows[:1], list_name="another")
    assert len(set(log.ids)) == 3


@settings(max_examples=40, deadline=None)
@given(
    emails=st.lists(st.sampled_from([f"{c}@example.com" for c in "abcde"]), max_size=30),
    deaths=st.lists(st.integers(0, 4), max_size=4), portion=st.integers(1, 7),
)  # fmt: skip
def test_every_row_is_on_the_log_under_one_id_however_often_the_import_dies(
    tmp_path_factory: pytest.TempPathFactory, emails: list[str], deaths: list[int], portion: int
) -> None:
    file, rows = tmp_path_factory.mktemp("seen") / "rows", items(*emails)
    ids: list[str] = []
    for dies_after in [*deaths, 10**9]:
        log = Log(portion, dies_after)
        with suppress(Unavailable):
            run(file, log, rows)
        ids += log.ids
    assert len(set(ids)) == len(emails)
    assert len(ids) - len(emails) <= portion * len(deaths)


def test_bad_rows_are_noted_and_stop_nothing(tmp_path: Path) -> None:
    rows = [*items("a@example.com"), BadRow(3, ("x",), "bad_quotes", "why"), Item(4, (), {"name": "Eva"}, "{}")]
    counts, rejected = run(tmp_path / "rows", Log(), [*rows, *items("b@example.com")])
    assert (counts.sent, counts.rejected, counts.reasons) == (2, 2, {"bad_quotes": 1, "required": 1})
    assert rejected == [(3, "bad_quotes"), (4, "required")]


def test_consents_are_counted_and_shown_by_what_they_say(tmp_path: Path) -> None:
    said = ("x", "Sí, acepto", "no", "pendiente", "")
    rows = [Item(n, (), {"email": f"{n}@example.com", "consent": s}, f"{n}") for n, s in enumerate(said, start=2)]
    counts, _ = run(tmp_path / "rows", Log(), rows)
    assert (counts.granted, counts.refused, counts.unclear) == (2, 1, 1)
    assert "consents: 2 granted, 1 refused, 1 not understood" in outcome(counts, job("a"), dry_run=True)


def test_rows_nobody_can_be_reached_by_are_counted_and_rejected_where_the_source_requires_it(tmp_path: Path) -> None:
    given = ({"email": "roto@@example"}, {"phone": "12345"}, {"name": "Eva"}, {"email": "a@example.com"})
    rows = [Item(n, (), content, f"{n}") for n, content in enumerate(given, start=2)]
    counts, rejected = run(tmp_path / "rows", Log(), rows)
    assert ([n for n, _ in rejected], counts.unreachable) == ([2, 3, 4], 3)
    assert "nobody can be reached by 3 of them" in outcome(counts, job("a"), dry_run=True)


def test_a_preview_shows_the_consent_of_each_row(tmp_path: Path) -> None:
    file = tmp_path / "l.csv"
    file.write_text("email,consent\na@example.com,x\nb@example.com,No\nc@example.com,luego\n", encoding="utf-8")
    with opened(file) as stream:
        shown = preview_table(Ready(job("l"), stream, look(stream, file, Asked()), (), terms()))
        said = [str(cell) for cell in shown.columns[1].cells]
    assert [line.partition(", ")[2] for line in said] == [
        "consent by email: granted", "consent by email: refused", "consent: not understood, (consent: luego)",
    ]  # fmt: skip


def test_told_to_stop_it_ends_between_two_portions_and_knows_where(tmp_path: Path) -> None:
    rows, log = items(*(f"a{n}@example.com" for n in range(10))), Log()
    rooms: Iterator[int] = iter([4, 0])
    log.room = lambda: next(rooms)  # type: ignore[method-assign]
    assert run(tmp_path / "rows", log, rows)[0].sent == 4
    assert run(tmp_path / "rows", Log(), rows)[0] == Counts(read=10, sent=6, known=4)


def first(item: Item, of: Terms, nth: int = 1) -> dict[str, object]:
    accepted = submission(item, nth, of, NOW)
    return json.loads(accepted.events[0].value or "{}")


def test_what_the_list_says_counts_where_the_row_does_not() -> None:
    source = listed_source(FAIR, {"Correo": "email"}, "autumn", "fair")
    of = terms(source=source, fields={"Correo": "email", "Notas": "-"}, defaults={"country": "PT", "product": "crm"})
    lead = first(Item(2, (), {"Correo": "a@example.com", "Notas": "x", "país": "ES", "Talla": "M"}, "{}"), of)
    assert (lead["contact"]["country"], lead["product"], lead["answers"]) == ("ES", "crm", {"Talla": "M"})  # type: ignore[index]
    assert lead["origin"] == {"source": "fair", "origin_type": "net", "channel": "fair", "campaign": "autumn",
                              "list_name": "fair 2026"}  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "first_one", "answers"),
    [("a1@example.com; a2@example.com", "a1@example.com", {"email 2": "a2@example.com"}),
     ("a1@example.com a2@example.com,a3@example.com", "a1@example.com",
      {"email 2": "a2@example.com", "email 3": "a3@example.com"}),
     ("600 000 011 / 600 000 012", "+34600000011", {"phone 2": "600 000 012"}),
     ("600000011 o 600000012", "+34600000011", {"phone 2": "600000012"}),
     ("600 000 011", "+34600000011", {})],
)  # fmt: skip
def test_of_two_values_in_one_cell_the_first_counts_and_the_others_are_answers(
    cell: str, first_one: str, answers: dict[str, str]
) -> None:
    field = "email" if "@" in cell else "phone"
    lead = first(Item(2, (), {"Dato": cell}, "{}"), terms(
        source=listed_source(FAIR, {"Dato": field}, None, None), fields={"Dato": field}))  # fmt: skip
    assert (lead["contact"][field], lead["answers"]) == (first_one, answers)  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "is_sheet", "postcode"),
    [({"C.P.": "8001"}, True, "08001"), ({"C.P.": "8001", "País": "Portugal"}, True, "8001"),
     ({"C.P.": "8001"}, False, "8001"), ({"C.P.": "28001"}, True, "28001")],
)  # fmt: skip
def test_a_spanish_postcode_gets_back_the_zero_that_a_spreadsheet_took(
    content: dict[str, str], is_sheet: bool, postcode: str
) -> None:
    source = listed_source(FAIR, {"C.P.": "postcode"}, None, None)
    of = terms(source=source, fields={"C.P.": "postcode"}, is_sheet=is_sheet)
    lead = first(Item(2, (), {"email": "a@example.com", **content}, "{}"), of)
    assert lead["contact"]["postcode"] == postcode  # type: ignore[index]


def test_each_row_carries_its_share_of_the_lists_cost() -> None:
    lead = first(Item(2, (), {"email": "a@example.com"}, "{}"), terms(cost=250 / 3, currency="EUR"))
    assert (lead["cost"], lead["currency"]) == (250 / 3, "EUR")


def test_a_row_with_its_senders_own_id_keeps_it_in_every_list() -> None:
    item = Item(2, (), {"email": "a@example.com"}, "{}", key="adf|portal|1")
    assert first(item, terms("one"))["cause_id"] == first(item, terms("two"), nth=2)["cause_id"]


@pytest.mark.parametrize(
    ("what", "content", "event_type"),
    [("activities", {"Correo": "a@example.com", "Evento": "visit", "Stand": "4"}, "activity.received"),
     ("consents", {"Correo": "a@example.com", "Tipo": "withdrawn"}, "consent.withdrawn"),
     ("results", {"Campaña": "Otoño", "Fecha": "3/11/2026", "Gasto": "1.234,50"}, "campaign.result"),
     ("outcomes", {"Lead": "l1", "Tipo": "lead.won", "Importe": "100"}, "lead.won")],
)  # fmt: skip
def test_other_reports_come_as_lists_too(what: str, content: dict[str, str], event_type: str) -> None:
    names = {"Correo": "email", "Evento": "activity", "Tipo": "type", "Lead": "lead_id", "Importe": "value",
             "Campaña": "campaign", "Fecha": "day", "Gasto": "spend"}  # fmt: skip
    source = FAIR.model_copy(update={"destination": "crm"})
    accepted = submission(Item(2, (), content, "{}"), 1, terms(source=source, what=what, fields=names), NOW)
    assert accepted.events[0].type == event_type  # type: ignore[union-attr]
    if what == "activities":
        assert accepted.events[0].data.properties == {"Stand": "4"}  # type: ignore[union-attr]
    if what == "results":
        told = accepted.events[0].data  # type: ignore[union-attr]
        assert (told.campaign, told.day, told.spend) == ("Otoño", "2026-11-03", 1234.5)


def job(name: str, state: str = "running") -> Job:
    return Job(
        name=name, file="/x", source="fair", what="leads", list_name="x", state=state, started_at=NOW, updated_at=NOW
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "list_name", ["../../etc", "/etc/passwd", "..", "", "a\x00b", "ñ" * 500, "=cmd|' /C'!A0", "CON"]
)
def test_no_name_of_a_list_leads_out_of_the_folder_of_jobs(tmp_path: Path, list_name: str) -> None:
    folder = job(job_name("fair", "leads", list_name)).folder(tmp_path)
    assert folder.resolve().parent == jobs_folder(tmp_path).resolve()
    assert read_job(tmp_path, list_name) is None


def test_lists_that_look_alike_have_jobs_of_their_own() -> None:
    assert len({job_name("fair", "leads", name) for name in ("Feria 1", "feria-1", "feria 1")}) == 3


def test_who_looks_at_the_jobs_keeps_none_from_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = jobs_folder(tmp_path) / "fair"
    with held(folder):
        pass
    looking = os.open(folder / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    waited: list[float] = []
    monkeypatch.setattr(jobs, "sleep", lambda seconds: (waited.append(seconds), os.close(looking)))
    with held(folder):
        assert len(waited) == 1


def test_two_who_look_at_once_see_the_same_and_make_no_file(tmp_path: Path) -> None:
    killed = job("killed")
    killed.folder(tmp_path).mkdir(parents=True)
    write_job(tmp_path, killed)
    assert [j.state for j in all_runs(tmp_path)] == ["paused"]
    assert [f.name for f in killed.folder(tmp_path).iterdir()] == ["run-20261120T090000.000000Z.json"]
    with held(killed.folder(tmp_path)):
        pass
    looking = os.open(killed.folder(tmp_path) / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert [j.state for j in all_runs(tmp_path)] == ["paused"]
    os.close(looking)


def test_each_run_of_a_list_stays_and_the_last_one_begun_is_gone_on_with(tmp_path: Path) -> None:
    first = job("fair", "done").model_copy(update={"counts": Counts(read=9, sent=7, rejected=2)})
    mended = first.model_copy(update={
        "started_at": NOW + timedelta(days=1), "file": "/x/rejects.csv", "state": "running", "counts": Counts(read=2)
    })  # fmt: skip
    first.folder(tmp_path).mkdir(parents=True)
    for run in (first, mended, mended.model_copy(update={"state": "paused"})):
        write_job(tmp_path, run)
    assert [(r.file, r.state, r.counts.read) for r in all_runs(tmp_path)] == [
        ("/x/rejects.csv", "paused", 2), ("/x", "done", 9),
    ]  # fmt: skip
    assert read_job(tmp_path, "fair") == all_runs(tmp_path)[0]
    shown = runs_table(all_runs(tmp_path))
    assert [list(c.cells) for c in shown.columns if c.header in ("begun", "file", "rows", "sent")] == [
        ["2026-11-21 09:00 UTC", "2026-11-20 09:00 UTC"], ["rejects.csv", "x"], ["2", "9"], ["0", "7"],
    ]  # fmt: skip


def test_a_run_that_was_killed_stays_so_when_the_next_one_runs(tmp_path: Path) -> None:
    later = job("fair").model_copy(update={"started_at": NOW + timedelta(hours=1)})
    later.folder(tmp_path).mkdir(parents=True)
    for run in (job("fair"), later):
        write_job(tmp_path, run)
    with held(later.folder(tmp_path)):
        assert [r.state for r in all_runs(tmp_path)] == ["running", "paused"]


def test_the_one_run_that_an_older_version_kept_is_shown_and_gone_on_with(tmp_path: Path) -> None:
    old = job("fair", "paused")
    old.folder(tmp_path).mkdir(parents=True)
    (old.folder(tmp_path) / "job.json").write_text(old.model_dump_json())
    assert read_job(tmp_path, "fair") == old
    later = old.model_copy(update={"started_at": NOW + timedelta(hours=1), "state": "done"})
    write_job(tmp_path, later)
    assert (read_job(tmp_path, "fair"), all_runs(tmp_path)) == (later, [later, old])


def test_a_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    job("fair").folder(tmp_path).mkdir(parents=True)
    (job("fair").folder(tmp_path) / "run-1.json").write_text("{")
    with pytest.raises(FileRefused, match=r"run-1.json cannot be read: remove it"):
        all_runs(tmp_path)


def test_a_job_that_was_killed_is_shown_as_paused_and_one_that_runs_is_not_begun_twice(tmp_path: Path) -> None:
    for name in ("killed", "live"):
        job(name).folder(tmp_path).mkdir(parents=True)
        write_job(tmp_path, job(name))
    with held(job("live").folder(tmp_path)):
        assert {j.name: j.state for j in all_runs(tmp_path)} == {"killed": "paused", "live": "running"}
        with pytest.raises(FileRefused, match="being imported"), held(job("live").folder(tmp_path)):
            pass
    assert {j.name: j.state for j in all_runs(tmp_path)} == {"killed": "paused", "live": "paused"}
