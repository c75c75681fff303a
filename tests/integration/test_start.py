"""What a start refuses, in one sentence and before any process runs; and how it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deploy.embedded.errors import EmbeddedError
from deploy.embedded.home import locked_home, write_private
from deploy.embedded.ports import free_port, listening_homes
from deploy.embedded.process import Child, Running, end_group, reason, start
from deploy.embedded.supervisor import ChildState, State, await_launched, launch, read_state
from services.cli.installation import installation_secret, settle_secret
from services.cli.ports import Ports, known_ports, moved, read_ports, settle_ports, share_ports

LISTEN = """
import socket, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
time.sleep(60)
"""
# Asks for an end in the middle of the start: by an import, by the preparing of the parts, or right after a launch.
AT_IMPORT = "import services.cli.__main__ as place; name = 'import_module'"
AT_PREPARING = "import deploy.embedded.parts as place; name = 'settle_addresses'"
AT_LAUNCH = "import services.cli.stage as place; name = 'launch'"
ASK = """
import os, sys
{where}
real = getattr(place, name)
def asking(*given):
    done = real(*given)
    os.kill(os.getpid(), {number})
    return done
setattr(place, name, asking)
from services.cli.__main__ import main
sys.argv = ["caudal", "{command}"]
main()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("CAUDAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def caudal(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *words]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence."""
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def works_for(home: Path, process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.pid != os.getpid() and process.environ().get("CAUDAL_HOME") == str(home)
    return False


@contextmanager
def intake_of(home: Path) -> Iterator[int]:
    """Something that listens as intake of this home does: its port."""
    env = os.environ | {"CAUDAL_HOME": str(home), "CAUDAL_WORKER": "1"}
    with subprocess.Popen([sys.executable, "-c", LISTEN], env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["INTAKE", "CONSOLE", "MAILBOX", "SMTP"])
def test_port_of_another_installation_is_refused_with_its_home_and_nothing_starts(home: Path, name: str) -> None:
    with intake_of(home.with_name("other")) as port:
        said = refused(caudal("up", **{f"CAUDAL_{name}_PORT": str(port)}))
    assert f"Port {port} (CAUDAL_{name}_PORT) is in use by the installation in {home.with_name('other')}: stop" in said
    assert not (home / "postgres").exists()


def test_port_of_another_program_is_refused_with_its_name(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = refused(caudal("up", CAUDAL_INTAKE_PORT=str(other.getsockname()[1])))
    assert f"in use by another program ({psutil.Process().name()}, process {os.getpid()}): stop that program" in said


def test_intake_shares_its_port_with_its_own_installation_alone(home: Path) -> None:
    with intake_of(home) as port:
        share_ports(home, "intake", Ports(port, 0, 0, 0))
        with pytest.raises(EmbeddedError, match="is in use by the installation in"):
            share_ports(home.with_name("other"), "intake", Ports(port, 0, 0, 0))
        with pytest.raises(EmbeddedError, match="CAUDAL_CONSOLE_PORT"):
            share_ports(home, "console", Ports(0, port, 0, 0))


def test_port_that_was_chosen_and_is_occupied_now_is_replaced_and_no_two_are_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    first = settle_ports(home, ["intake", "console"])[0]
    assert settle_ports(home, ["intake", "console"])[0] == first
    with socket.create_server(("127.0.0.1", first.intake)):
        second = settle_ports(home, ["intake", "console"])[0]
        assert second.intake != first.intake
    monkeypatch.setenv("CAUDAL_SMTP_PORT", str(second.console))
    third = settle_ports(home, ["intake", "console"])[0]
    assert (third.smtp, third.console == second.console) == (second.console, False)


def test_port_that_another_start_has_chosen_is_not_chosen_again_before_it_listens(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = home.with_name("other")
    home.mkdir()
    other.mkdir()
    first, claims = settle_ports(home, ["intake", "console"])
    second, _ = settle_ports(other, ["intake", "console"])
    assert not {first.intake, first.console} & {second.intake, second.console}
    monkeypatch.setenv("CAUDAL_INTAKE_PORT", str(first.intake))
    with pytest.raises(EmbeddedError, match=f"Port {first.intake} .CAUDAL_INTAKE_PORT. is taken by another instal"):
        settle_ports(other, ["intake"])
    for claimed in claims:
        claimed.close()
    assert settle_ports(other, ["intake"])[0].intake == first.intake


def test_port_of_an_intake_that_is_dead_for_a_moment_is_not_chosen_by_another_installation(home: Path) -> None:
    port, other = free_port(), home.with_name("other")
    other.mkdir()
    write_private(other / "ports.json", json.dumps({"intake": port}))
    away = {"CAUDAL_KAFKA": "127.0.0.1:1", "CAUDAL_POSTGRES": "postgresql://127.0.0.1:1/x"}
    env = os.environ | away | {"CAUDAL_INTAKE_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "services.cli", "run", "intake"], env=env) as supervisor:
        try:
            until(lambda: listening_homes(port) == {str(home)})
            (state,) = map(read_state, (home / "run").glob("intake-*"))
            assert state
            os.kill(state.children[0].pid, signal.SIGKILL)
            until(lambda: not listening_homes(port))
            chosen = settle_ports(other, ["intake"])[0].intake
            with socket.create_server(("127.0.0.1", chosen), reuse_port=True):
                until(lambda: listening_homes(port) == {str(home)})
            assert chosen != port
        finally:
            supervisor.terminate()
            supervisor.wait(30)


def until(so: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("words", [["status"], ["down"], ["doctor"], ["lead", "x"], ["sources", "keys"], ["topics"]])
def test_command_that_only_looks_makes_no_home(home: Path, words: list[str]) -> None:
    caudal(*words, CAUDAL_INTAKE_PORT="8499", CAUDAL_KAFKA="127.0.0.1:1", CAUDAL_POSTGRES="postgresql://127.0.0.1:1/x")
    assert not home.exists()


def test_command_that_only_looks_tells_the_ports_in_use_and_keeps_what_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    ports = settle_ports(home, ["intake"])[0]
    kept = (home / "ports.json").read_bytes()
    me = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    intake = ChildState(name="intake", restarts=0, log=home / "intake.log", **me)
    write_private(home / "state.json", State(**me, children=(intake,)).model_dump_json())
    monkeypatch.setenv("CAUDAL_INTAKE_PORT", "8499")
    assert read_ports(home) == ports
    assert f"http://127.0.0.1:{ports.intake}/" in caudal("status").stdout
    assert (home / "ports.json").read_bytes() == kept


def test_start_that_finds_a_kept_port_taken_says_which_one_moved(home: Path) -> None:
    home.mkdir()
    ports, claims = settle_ports(home, ["intake"])
    for claimed in claims:
        claimed.close()
    before = known_ports(home)
    with socket.create_server(("127.0.0.1", ports.intake)):
        now = settle_ports(home, ["intake"])[0]
    (sentence,) = moved(before, known_ports(home))
    assert f"Port {ports.intake} of intake was taken: it is {now.intake} from now on" in sentence
    assert f"CAUDAL_INTAKE_PORT={ports.intake}" in sentence


def test_one_makes_the_secret_and_the_others_read_it(home: Path) -> None:
    with pytest.raises(EmbeddedError, match="holds no secret: set CAUDAL_SECRET"):
        installation_secret(home)
    settle_secret(home)
    made = installation_secret(home)
    settle_secret(home)
    assert (installation_secret(home), [file.name for file in home.iterdir()]) == (made, ["secret"])


@pytest.mark.parametrize("command", ["up", "status", "demo", "down", "doctor", "sources"])
def test_home_that_is_a_file_is_told(home: Path, command: str) -> None:
    home.touch()
    said = refused(caudal(command, *(["keys"] if command == "sources" else [])))
    assert said == f"{home} is a file: set CAUDAL_HOME to a directory of your own.\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_home_that_cannot_be_made_is_told(home: Path) -> None:
    assert "/proc/caudal cannot be used" in refused(caudal("up", CAUDAL_HOME="/proc/caudal"))


@pytest.mark.parametrize(
    "words", [["up"], ["run", "qualify"], ["demo"], ["bench", "intake"], ["verify"]], ids=lambda words: words[0]
)
def test_command_that_needs_every_setting_refuses_a_wrong_one(home: Path, words: list[str]) -> None:
    assert refused(caudal(*words, CAUDAL_KAFKA_HEAP="1m")).startswith("CAUDAL_KAFKA_HEAP=1m cannot be used: ")
    assert not home.exists()


# An installation on parts that are elsewhere.
AWAY = """
import sys
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import supervise
from services.cli.up import settle
settings = EmbeddedSettings(kafka="127.0.0.1:1", postgres="postgresql://127.0.0.1:1/x")
sys.exit(supervise(settings, lambda parts: (), lambda: settle(["intake"])))
"""
WRONG = {"CAUDAL_KAFKA_HEAP": "1m", "CAUDAL_KAFKA": "broker", "CAUDAL_INTAKE_PORT": "http", "CAUDAL_BATCH": "many"}


def test_operator_with_wrong_settings_can_look_and_stop(home: Path) -> None:
    supervisor = launch(home, [sys.executable, "-c", AWAY])
    try:
        await_launched(supervisor)
        looked = caudal("status", **WRONG)
        assert (looked.returncode, looked.stderr) == (0, "")
        assert "kafka    127.0.0.1:1" in looked.stdout
        stopped = caudal("down", **WRONG)
        assert (stopped.returncode, stopped.stderr) == (0, "stopped\n")
        assert supervisor.process.wait(10) == 0
    finally:
        supervisor.process.kill()


def test_command_tells_in_a_sentence_the_wrong_setting_that_it_uses_itself(home: Path) -> None:
    assert refused(caudal("topics", CAUDAL_SOURCES="a/b")).startswith("CAUDAL_SOURCES=a/b cannot be used: ")
    assert refused(caudal("lead", "x", CAUDAL_KAFKA="broker")).startswith("CAUDAL_KAFKA=broker cannot be used: ")
    assert "CAUDAL_INTAKE_PORT=http cannot be used" in refused(
        caudal("lead", "x", CAUDAL_INTAKE_PORT="http", CAUDAL_KAFKA="127.0.0.1:1", CAUDAL_POSTGRES="postgresql://x/x")
    )
    assert not home.exists()


def test_doctor_lists_each_wrong_setting(home: Path) -> None:
    said = caudal("doctor", **WRONG, CAUDAL_SECRET="short")
    lines = [line for line in said.stdout.splitlines() if line.startswith("not ok  setting: CAUDAL_")]
    assert {line.split()[3].partition("=")[0] for line in lines} == {*WRONG, "CAUDAL_SECRET"}
    assert (said.returncode, said.stderr) == (1, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("where", "command"), [(AT_IMPORT, "up"), (AT_PREPARING, "up"), (AT_IMPORT, "demo"), (AT_LAUNCH, "demo")]
)
def test_start_that_is_asked_to_end_says_stopped_and_leaves_nothing(
    home: Path, where: str, command: str, number: int, code: int
) -> None:
    program = ASK.format(where=where, number=int(number), command=command)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1], "Traceback" in done.stderr) == (code, "stopped", False)
    assert not (home / "state.json").exists()
    left = [process for process in psutil.process_iter() if works_for(home, process)]
    assert psutil.wait_procs(left, timeout=10)[1] == [], "the kernel ends what was tied to it, and nothing else is left"


# The topics and books are asked of a broker that never answers.
PREPARING = """
import os, signal, sys, threading
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import supervise
def prepare(parts):
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()
settings = EmbeddedSettings(kafka="127.0.0.1:1", postgres="postgresql://127.0.0.1:1/x")
sys.exit(supervise(settings, lambda parts: (), prepare=prepare))
"""


def test_start_is_ended_at_once_while_topics_and_books_are_prepared(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PREPARING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (143, "")
    assert not (home / "state.json").exists()


def test_supervisor_of_another_start_is_not_taken_for_ones_own(home: Path) -> None:
    launched = launch(home, [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit('the other was first')"])
    other = State(pid=os.getpid(), started=psutil.Process().create_time(), ready=True)
    write_private(home / "state.json", other.model_dump_json())
    with pytest.raises(EmbeddedError, match=r"did not come up: see .*supervisor\.log.*the other was first"):
        await_launched(launched)


def test_start_waits_for_one_who_only_looks_at_the_lock(home: Path) -> None:
    looking, looked = threading.Event(), threading.Event()

    def look() -> None:
        with locked_home(home):
            looking.set()
            looked.wait(0.3)

    thread = threading.Thread(target=look)
    thread.start()
    looking.wait()
    with locked_home(home):
        pass
    thread.join()


def test_home_and_all_that_children_write_is_for_the_owner_alone(home: Path) -> None:
    home.mkdir(mode=0o755)
    (home / "mail").mkdir(mode=0o755)
    (home / "crm.sqlite").touch(0o644)
    before = os.umask(0o022)
    try:
        with locked_home(home / "inner") as inner:
            assert inner.stat().st_mode & 0o777 == 0o700
        with locked_home(home):
            code = f"import os; os.mkdir({str(home / 'new')!r}); open({str(home / 'new' / 'x')!r}, 'w')"
            start(Child("writer", (sys.executable, "-c", code)), home).process.wait(10)
    finally:
        os.umask(before)
    modes = {name: (home / name).stat().st_mode & 0o777 for name in ("run", "logs", "mail", "crm.sqlite", "new")}
    assert modes == {"run": 0o700, "logs": 0o700, "mail": 0o700, "crm.sqlite": 0o600, "new": 0o700}
    assert (home / "new" / "x").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o755, "a directory that was there is its owner's business"


def test_reason_is_read_where_the_child_wrote_last(home: Path) -> None:
    with locked_home(home):
        own = home / "own.log"
        own.write_text("ERROR of yesterday")
        os.utime(own, (time.time() - 60,) * 2)
        running: Running = start(Child("broker", (sys.executable, "-c", "print('cannot begin')"), log=own), home)
        running.process.wait(10)
        end_group(running)
    assert reason(running).endswith("broker.log, which says: cannot begin")
    assert json.loads((home / "run" / "broker.json").read_text())["pid"] == running.process.pid
