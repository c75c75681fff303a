"""`caudal status` and `caudal doctor` ask every process itself; the processes here are real, and so are their ports."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from deploy.embedded.ports import free_port
from deploy.embedded.supervisor import ChildState, State
from services.cli.__main__ import command_line
from services.runtime.health import HealthServer

CLOSED = f"127.0.0.1:{free_port()}"


def caudal(*words: str) -> Result:
    return CliRunner().invoke(command_line(words), words)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
    monkeypatch.delenv("CAUDAL_KAFKA", raising=False)
    monkeypatch.delenv("CAUDAL_POSTGRES", raising=False)
    return tmp_path


@pytest.fixture
def ended() -> int:
    """The pid of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def fenced() -> Iterator[HealthServer]:
    """A worker, this process, that lives but cannot work now."""
    server = HealthServer(0, lambda: (True, "turns"), lambda: (False, "fenced: leads.received.v1"))
    yield server
    server.close()


@pytest.fixture
def installation(home: Path, ended: int, fenced: HealthServer) -> Path:
    """What `caudal up` leaves in a home: a worker that is not ready, one that ended, one that waits for an operator."""
    started = psutil.Process().create_time()
    log = home / "logs" / "some.log"
    children = (
        ChildState(name="router", pid=os.getpid(), started=started, restarts=2, log=log),
        ChildState(name="nurture", pid=ended, started=started, restarts=0, log=log),
        ChildState(name="qualify", pid=ended, started=started, restarts=0, log=log, down="a gap in the log"),
    )
    state = State(pid=os.getpid(), started=started, ready=True, kafka=CLOSED,
                  postgres=f"postgresql://somebody:hidden@{CLOSED}/none", children=children)  # fmt: skip
    (home / "state.json").write_text(state.model_dump_json())
    return home


def test_status_tells_health_pid_and_port_on_standard_output(installation: Path, fenced: HealthServer) -> None:
    result = caudal("status")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {line.split()[1]: line for line in result.stdout.splitlines() if line.startswith("│")}
    for said in ("not ready: fenced: leads.received.v1", str(os.getpid()), str(fenced.port)):
        assert said in rows["router"]
    assert "stopped: it ended" in rows["nurture"]
    assert "stopped: a gap in the log" in rows["qualify"]
    assert f"kafka    {CLOSED}" in result.stdout


def test_status_for_programs_is_json_alone_and_holds_no_password(installation: Path, fenced: HealthServer) -> None:
    result = caudal("status", "--json")
    told = json.loads(result.stdout)
    router = next(child for child in told["children"] if child["name"] == "router")
    assert (result.exit_code, told["ready"], told["kafka"], router["port"]) == (0, False, CLOSED, fenced.port)
    assert "hidden" not in result.output
    assert told["addresses"] == {"kafka": CLOSED}  # no page is told of what does not run


def test_status_of_nothing_has_the_same_form_for_programs_and_a_sentence_for_people(home: Path) -> None:
    result = caudal("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "pid": None, "home": str(home), "ready": False, "addresses": {}, "children": []
    }  # fmt: skip
    spoken = caudal("status")
    assert (spoken.exit_code, spoken.stdout) == (1, "")
    assert f"nothing runs on {home}" in spoken.stderr


def test_the_doctor_names_each_part_that_is_not_well_with_its_reason_and_its_log(installation: Path) -> None:
    result = caudal("doctor")
    assert result.exit_code == 1
    wrong = [line for line in result.stdout.splitlines() if line.startswith("not ok")]
    told = ("fenced: leads.received.v1", "it ended", "a gap in the log", f"Kafka {CLOSED}", "PostgreSQL")
    assert [word in line for word, line in zip(told, wrong, strict=True)] == [True] * 5
    assert all(f"see {installation}/logs/some.log" in line for line in wrong[:3])
    assert "hidden" not in result.output


def test_the_doctor_says_of_an_empty_home_how_to_start_and_checks_the_machine_all_the_same(home: Path) -> None:
    result = caudal("doctor")
    assert result.exit_code == 1
    assert f"not ok  installation: nothing runs on {home}; start it with `caudal up`" in result.stdout
    assert "ok      crc32c wheel" in result.stdout
    told = json.loads(caudal("doctor", "--json").stdout)
    assert [finding["what"] for finding in told if not finding["well"]] == ["installation"]
