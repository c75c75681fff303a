"""Lists on real Kafka: every row of every kind of file is on the log once, whatever happens to the import."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.topics import CATALOGUE, LEADS_RECEIVED
from services.cli import books
from services.cli.__main__ import command_line
from services.cli.sending import acknowledged
from services.intake.files.outlet import AHEAD, READERS
from services.runtime.kafka.consumer import GroupConsumer
from services.runtime.kafka.reader import Reader
from services.runtime.kafka.topics import create_topics
from tests.import_files import row, xlsx

SECRET = "a secret of the tests, 32 letters"
BOOK = "sources:\n  fair: {kind: file, region: ES, required: [email|phone]}\n  feed: {kind: kafka}\n"


@dataclass(frozen=True)
class Here:
    """An installation of which only the log runs."""

    kafka: str
    home: Path
    env: dict[str, str]


@pytest.fixture
def here(kafka: str, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    create_topics(kafka, CATALOGUE, partitions=3)
    books.publish(kafka, "sources", BOOK, "test")
    named = {"HOME": str(tmp_path / "home"), "KAFKA": kafka, "POSTGRES": postgres, "SECRET": SECRET}
    env = {f"CAUDAL_{name}": value for name, value in named.items()}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return Here(kafka, tmp_path / "home", env)


@contextmanager
def services_reading(kafka: str) -> Iterator[None]:
    """Whoever judges leads, as far as an import sees it: groups that read to the end and commit."""
    stop, ready = threading.Event(), threading.Event()

    def follow() -> None:
        members = [GroupConsumer(kafka, one.group, [one.topic], member=None) for one in READERS["leads"]]
        read: list[dict[tuple[str, int], int]] = [{} for _ in members]
        while not stop.is_set():
            for member, offsets in zip(members, read, strict=True):
                offsets |= {(r.topic, r.partition): r.offset + 1 for r in member.poll(0.02, 500)}
                if offsets:
                    member.commit(offsets, wait=True)  # again and again: one that the broker missed comes anew
            if all(member.assignment() for member in members):
                ready.set()
        for member in members:
            member.close()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        stop.set()
        thread.join(20)


def imported(*words: str) -> Result:
    return CliRunner().invoke(command_line(["import"]), ["import", *words], env={"COLUMNS": "200"})


def of_list(kafka: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Ids and data of a list's leads, as they lie on the log."""
    reader = Reader(kafka, [LEADS_RECEIVED.name])
    records = [(dict(r.headers)["ce_id"].decode(), json.loads(r.value or b"{}")) for r in reader.to_end()]
    reader.close()
    return [(ce_id, data) for ce_id, data in records if data["origin"].get("list_name") == name]


SPANISH = (
    "Feria de muestras 2026;;;;\r\n"
    "Nombre y apellidos;Correo-e;Teléfono móvil;Observaciones;Nº de stand\r\n"
    '"Ángela Peña";angela@example.com;600 000 011;"¿Cuánto\r\ncuesta?";12\r\n'
    "Íñigo Núñez;inigo@example.com;;=1+1;7\r\n"
    "Sin dirección;;;nada;1\r\n"
).encode("cp1252")
CARDS = (
    b"BEGIN:VCARD\r\nVERSION:2.1\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=81ngel Mu=C3=B1oz\r\n"
    b"TEL;CELL:+34600000014\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nFN:A folded na\r\n me\r\n"
    b"EMAIL:folded@example.com\r\nEND:VCARD\r\n"
)
ADF = (
    b'Dear dealer\n<?ADF VERSION "1.0"?><ADF><PROSPECT STATUS=new><ID source=portal>77</ID><vehicle><make>Example'
    b"</make></vehicle><customer><contact><name part=full>Sof & Co</name><email>sof@example.com</email></contact>"
    b"</customer></PROSPECT></ADF>"
)
LINES = '{"email":"ana@example.com","Población":"León"}\n{bad\n{"phone":600000015}\n'.encode()
FILES = {
    "feria.csv": (SPANISH, {"angela@example.com", "inigo@example.com"}),
    "libro.xlsx": (
        xlsx({"Vacía": "", "Lista": row(1, ["Nombre", "Móvil"]) + row(2, ["Eva", 34600000013.0])}), {"+34600000013"},
    ),
    "agenda.vcf": (CARDS, {"+34600000014", "folded@example.com"}),
    "coches.adf": (ADF, {"sof@example.com"}),
    "lineas.jsonl": (LINES, {"ana@example.com", "+34600000015"}),
}  # fmt: skip


def test_every_kind_of_file_is_on_the_log_and_again_adds_nothing(here: Here, tmp_path: Path) -> None:
    with services_reading(here.kafka):
        for name, (data, people) in FILES.items():
            (tmp_path / name).write_bytes(data)
            words = [str(tmp_path / name), "--source", "fair", "--list", name, "--cost", "10", "--yes"]
            assert imported(*words).exit_code == 0
            again = imported(*words)
            assert f" 0 sent, {len(people)} were on the log already" in again.output
            leads = of_list(here.kafka, name)
            assert {d["contact"].get("email") or d["contact"]["phone"] for _, d in leads} == people
            assert {(d["source"], d["cost"], d["currency"]) for _, d in leads} == {("fair", 10 / len(people), "EUR")}
            assert (len(leads), {ce_id for ce_id, _ in leads} <= acknowledged(here.home / "ledger")) == (
                len(people),
                True,
            )
    spanish = {d["contact"]["email"]: d for _, d in of_list(here.kafka, "feria.csv")}
    angela, inigo = spanish["angela@example.com"], spanish["inigo@example.com"]
    assert (angela["contact"]["full_name"], angela["contact"]["phone"]) == ("Ángela Peña", "+34600000011")
    assert (angela["message"], angela["answers"], inigo["message"]) == (
        "¿Cuánto\r\ncuesta?",
        {"Nº de stand": "12"},
        "=1+1",
    )
    assert of_list(here.kafka, "coches.adf")[0][1]["source_key"] == "adf|portal|77"
    bad = next((here.home / "imports").glob("feria-csv-*/rejects.csv")).read_text("utf-8-sig")
    assert "required,email or phone is required by this source,Sin dirección" in bad


def killed_in_the_middle(here: Here, file: Path, name: str) -> None:
    """Begin to import a list, and kill the import when half of what nobody has to read is sent."""
    with services_reading(here.kafka):
        pass  # they read what other tests wrote; then nobody reads, so that the import waits in the middle
    words = ["import", str(file), "--source", "fair", "--list", name, "--yes"]
    before, deadline = len(of_list(here.kafka, name)), time.monotonic() + 60
    command = [sys.executable, "-m", "services.cli", *words]
    with subprocess.Popen(command, env=os.environ | here.env, stdout=subprocess.DEVNULL) as process:
        while len(of_list(here.kafka, name)) - before < AHEAD / 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)


def test_killed_in_the_middle_and_begun_again_every_row_is_sent_once(here: Here, tmp_path: Path) -> None:
    file, rows = tmp_path / "big.csv", 1000
    file.write_text("name,email\n" + "".join(f"P{n},p{n}@example.com\n" for n in range(rows)))
    killed_in_the_middle(here, file, "big")
    before = of_list(here.kafka, "big")
    assert 0 < len(before) <= AHEAD
    listed = CliRunner().invoke(command_line(["imports"]), ["imports"], env={"COLUMNS": "200"})
    assert "it was killed" in listed.output
    with services_reading(here.kafka):
        resumed = imported(
            "--resume", listed.output.partition("big-")[1] + listed.output.partition("big-")[2].split()[0]
        )
    assert f"{rows} rows" in resumed.output
    leads = of_list(here.kafka, "big")
    assert {d["contact"]["email"] for _, d in leads} == {f"p{n}@example.com" for n in range(rows)}
    assert len({ce_id for ce_id, _ in leads}) == rows
    assert len(leads) - rows <= AHEAD
    assert [run[1] for run in runs()] == ["big.csv", "big.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--source", "nobody"], "source 'nobody' is in no active book `sources`; lists may be of fair"),
     (["--source", "feed"], "writes a topic of its own"),
     (["--source", "fair", "--as", "outcomes"], "may not send outcomes"),
     (["--source", "fair", "--map", "Correo=emial"], "no field 'emial'"),
     (["--source", "fair"], "nothing is sent without a yes")],
)  # fmt: skip
def test_what_cannot_be_imported_is_said_before_anything_is_sent(
    here: Here, tmp_path: Path, words: list[str], said: str
) -> None:
    (tmp_path / "l.csv").write_text("Nombre,Correo\nAna,ana@example.com\n")
    result = imported(str(tmp_path / "l.csv"), *words)
    assert (result.exit_code > 0, said in result.stderr) == (True, True)
    assert of_list(here.kafka, "l") == []


def runs() -> list[list[str]]:
    """What `caudal imports` says of each run: its list, file, rows, sent, known and rejected."""
    listed = CliRunner().invoke(command_line(["imports"]), ["imports"])
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed.output.splitlines() if "│" in line]
    return [[row[2], *row[5:10]] for row in cells]


def test_each_run_of_a_list_stays_in_sight_and_mended_rows_keep_their_numbers(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "fair.csv"
    file.write_text("Nombre,Correo\nAna,ana@example.com\nEva,eva@@example\nLuz,\n")
    words = ["--source", "fair", "--list", "fair", "--yes"]
    with services_reading(here.kafka):
        for _ in range(2):
            assert imported(str(file), *words).exit_code == 0
        rejects = next((here.home / "imports").glob("fair-*/rejects.csv"))
        mended = rejects.with_name("mended.csv")  # a person's own, who may keep it
        mended.write_text(rejects.read_text("utf-8-sig").replace("eva@@example", "eva@example.com"))
        assert imported(str(mended), *words).exit_code == 0
    assert mended.exists()
    assert runs() == [
        ["fair", "mended.csv", "2", "1", "0", "1"],
        ["fair", "fair.csv", "3", "0", "1", "2"],
        ["fair", "fair.csv", "3", "1", "0", "2"],
    ]
    assert [line.partition(",")[0] for line in rejects.read_text("utf-8-sig").splitlines()] == ["row", "4"]
    assert len(of_list(here.kafka, "fair")) == 2


def test_rejects_mended_where_they_lie_outlive_a_kill_in_the_middle_of_their_import(here: Here, tmp_path: Path) -> None:
    file, rows = tmp_path / "wrong.csv", 1000
    file.write_text("name,email\n" + "".join(f"W{n},w{n}@@example.com\n" for n in range(rows)))
    assert imported(str(file), "--source", "fair", "--list", "wrong", "--yes").exit_code == 0
    rejects = next((here.home / "imports").glob("wrong-*/rejects.csv"))
    rejects.write_text(rejects.read_text("utf-8-sig").replace("@@", "@").replace("w7@", "w7@@"))
    killed_in_the_middle(here, rejects, "wrong")
    with services_reading(here.kafka):
        resumed = imported("--resume", rejects.parent.name)
    assert (resumed.exit_code, f"{rows} rows" in resumed.output) == (0, True)
    leads = {d["contact"]["email"] for _, d in of_list(here.kafka, "wrong")}
    assert leads == {f"w{n}@example.com" for n in range(rows)} - {"w7@example.com"}
    assert [line.partition(",")[0] for line in rejects.read_text("utf-8-sig").splitlines()] == ["row", "9"]
    again = imported("--resume", rejects.parent.name)
    assert (again.exit_code, "is done: nothing of it is left" in again.output) == (1, True)
    assert not list(rejects.parent.glob("mended/*"))


def test_nothing_that_stands_in_a_file_orders_the_terminal(here: Here, tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;x\x07\x9b31m"
    file = tmp_path / f"l{evil}.csv"
    file.write_text(
        f"Nombre,Correo,Nota{evil}\nAna{evil},ana@example.com,no{evil}\nEva,eva@@example,{evil}\n" + "x,,y\n" * 40
    )
    words = [str(file), "--source", "fair"]
    with services_reading(here.kafka):
        done = [imported(*words, how) for how in ("--preview", "--dry-run", "--yes")]
    done += [imported(*words, "--map", f"{evil}=email"), CliRunner().invoke(command_line(["imports"]), ["imports"])]
    assert [r.exit_code for r in done] == [0, 0, 0, 1, 0]
    assert {c for r in done for c in r.output if not c.isprintable()} == {"\n"}
    assert "full_name: Ana␛[2J" in done[0].output
    file.write_bytes(bytes(range(256)) * 8)
    refused = imported(*words, "--preview")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the file is no list that is read" in refused.stderr


def test_a_dry_run_counts_and_a_preview_shows_and_neither_sends(here: Here, tmp_path: Path) -> None:
    (tmp_path / "dry.csv").write_bytes(SPANISH)
    words = [str(tmp_path / "dry.csv"), "--source", "fair"]
    dry, preview = imported(*words, "--dry-run"), imported(*words, "--preview")
    assert "3 rows: 2 would be sent, 1 rejected" in dry.output
    assert "row 6: required" in dry.output
    assert "nobody can be reached by 1 of them" in dry.output
    assert "full_name: Íñigo Núñez" in preview.output
    assert (dry.exit_code, preview.exit_code, of_list(here.kafka, "dry")) == (0, 0, [])
