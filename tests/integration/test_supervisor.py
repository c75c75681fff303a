"""What keeps children alive and what ends them, shown on small children; and what each refusal says."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jgo
import psutil
import pytest

from deploy.embedded import kafka
from deploy.embedded.children import Children
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.home import locked_home, settle_addresses
from deploy.embedded.parts import running_parts
from deploy.embedded.process import Child, end_stale, same_process, start, stop
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import launch, read_state, start_detached, stop_detached, stop_launched
from services.runtime.errors import STAYS_DOWN

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
UP_WITH_STUBBORN = f"""
import sys
from deploy.embedded.process import Child
from deploy.embedded.settings import EmbeddedSettings
from deploy.embedded.supervisor import supervise
supervise(EmbeddedSettings(), lambda parts: [Child("stubborn", (sys.executable, "-c", {STUBBORN!r}))])
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with locked_home(tmp_path) as made:
        return made


def python(name: str, code: str) -> Child:
    return Child(name, (sys.executable, "-c", code))


def test_child_that_dies_is_started_again_after_a_wait_that_doubles(home: Path) -> None:
    children, waits = Children(home), []
    children.start([python("weak", "raise SystemExit(3)")])
    for death in range(4):
        children.running["weak"].process.wait(5)
        now = 10.0 * death
        assert not children.mend(now), "a death alone starts nothing"
        waits.append(next(wait for wait in (0.2, 0.4, 0.8, 1.6, 3.2) if children.mend(now + wait)))
    children.stop(["weak"])
    assert waits == [0.2, 0.4, 0.8, 1.6]


def test_fifth_death_within_a_minute_is_given_up_with_child_and_log_named(home: Path) -> None:
    children = Children(home)
    children.start([python("weak", "raise SystemExit('cannot read the rules')")])
    for death in range(4):
        children.running["weak"].process.wait(5)
        children.mend(10.0 * death)
        children.mend(10.0 * death + 5)
    children.running["weak"].process.wait(5)
    with pytest.raises(EmbeddedError, match=r"^weak died 5 times within a minute .*weak\.log.*cannot read the rules"):
        children.mend(45.0)
    assert children.restarts == {"weak": 4}


def test_child_that_only_an_operator_can_let_go_on_stays_down_and_the_others_run(home: Path) -> None:
    children = Children(home)
    children.start([python("halted", f"print('records are missing'); raise SystemExit({STAYS_DOWN})"),
                    python("well", "import time; time.sleep(30)")])  # fmt: skip
    children.running["halted"].process.wait(5)
    assert children.mend(1.0)
    assert not any(children.mend(float(now)) for now in range(2, 60))
    assert "records are missing" in children.down["halted"]
    assert children.running["well"].process.poll() is None
    children.stop(["halted", "well"])


def test_deaths_spread_over_more_than_a_minute_are_never_given_up(home: Path) -> None:
    children = Children(home)
    children.start([python("weak", "raise SystemExit(3)")])
    for death in range(8):
        children.running["weak"].process.wait(5)
        children.mend(16.0 * death)
        children.mend(16.0 * death + 5)
    assert children.restarts == {"weak": 8}
    children.stop(["weak"])


def test_child_that_ignores_the_stop_signal_is_killed_at_the_deadline_with_its_workers(home: Path) -> None:
    worker = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + STUBBORN
    running = start(python("stubborn", worker), home)
    wait_for_lines(running.log, 2)
    family = psutil.Process(running.process.pid).children()
    began = time.monotonic()
    stop([running], home, seconds=0.5)
    assert 0.5 <= time.monotonic() - began < 3
    assert running.process.returncode == -signal.SIGKILL
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_held_child_imports_at_once_runs_when_released_and_is_not_asked_before(home: Path) -> None:
    (home / "program.py").write_text("print('up', flush=True)\ndef main(): print('runs', flush=True)\n")
    argv = (sys.executable, "-m", "deploy.embedded.held", "program")
    paths = {"PYTHONPATH": os.pathsep.join([str(home), *filter(None, sys.path)])}
    children = Children(home)
    children.start([Child("program", argv, paths, ready=lambda: False)], held=True)
    one = children.running["program"]
    wait_for_lines(one.log, 1)
    children.wait_ready(seconds=0.2)  # or it would be late
    assert "runs" not in one.log.read_text()
    children.release()
    assert one.process.wait(5) == 0
    assert "runs" in one.log.read_text()


def test_held_child_that_dies_is_held_again_and_runs_at_once_when_it_dies_later(home: Path) -> None:
    children = Children(home)
    children.start([python("waits", "import sys; sys.stdin.read()")], held=True)
    children.running["waits"].process.kill()
    children.running["waits"].process.wait(5)
    children.mend(0.0)
    assert children.mend(1.0)
    assert children.running["waits"].held
    children.release()
    assert children.running["waits"].process.wait(5) == 0
    children.mend(2.0)
    assert children.mend(3.0)
    assert children.running["waits"].process.wait(5) == 0, "it waited for a word that nobody gives"
    children.stop(["waits"])


def test_stale_pid_ends_only_the_process_that_was_noted(home: Path) -> None:
    ours = start(python("ours", "import time; time.sleep(60)"), home)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    note = {"pid": stranger.pid, "started": time.time() - 3600, "stop_signal": int(signal.SIGTERM)}
    (home / "run" / "other.json").write_text(json.dumps(note))
    end_stale(home)
    assert same_process(ours.process.pid, ours.started) is None
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_supervisor_uses_the_named_parts_and_its_kill_ends_even_a_stubborn_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
    monkeypatch.setenv("CAUDAL_KAFKA", "kafka.example.com:9092")
    monkeypatch.setenv("CAUDAL_POSTGRES", "postgresql://db.example.com/caudal")
    state = start_detached(tmp_path, [sys.executable, "-c", UP_WITH_STUBBORN])
    assert (state.kafka, [child.name for child in state.children]) == ("kafka.example.com:9092", ["stubborn"])
    (service,) = state.children
    wait_for_lines(service.log, 1)
    os.kill(state.pid, signal.SIGKILL)
    gone_by = time.monotonic() + 5
    while same_process(service.pid, service.started):
        assert time.monotonic() < gone_by, "the service outlived its supervisor"
        time.sleep(0.05)
    assert read_state(tmp_path) is None
    assert not stop_detached(tmp_path)


def test_supervisor_that_is_stopped_before_it_says_that_it_runs_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
    launched = launch(tmp_path, [sys.executable, "-c", UP_WITH_STUBBORN])
    assert not stop_detached(tmp_path), "it has not said so yet"
    stop_launched(launched)
    assert launched.process.poll() is not None


def test_jars_that_were_found_are_not_looked_for_again_while_they_are_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, jar, asked = home / "class-path", home / "kafka.jar", []
    jar.touch()
    monkeypatch.setattr(kafka, "_jars", lambda: asked.append(1) or [jar])
    assert [kafka._class_path(kept), kafka._class_path(kept), len(asked)] == [str(jar), str(jar), 1]
    monkeypatch.setattr(kafka, "KAFKA", "org.apache.kafka:kafka_2.13:5.0.0")
    assert [kafka._class_path(kept), len(asked)] == [str(jar), 2]
    jar.unlink()
    assert [kafka._class_path(kept), len(asked)] == [str(jar), 3]


def test_failed_start_in_the_background_tells_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("CAUDAL_HOME", str(tmp_path))
        monkeypatch.setenv("CAUDAL_KAFKA_PORT", str(other.getsockname()[1]))
        with pytest.raises(EmbeddedError, match=r"^Port \d+ \(CAUDAL_KAFKA_PORT\) is in use by another program"):
            start_detached(tmp_path, [sys.executable, "-c", UP_WITH_STUBBORN])


def test_occupied_configured_port_is_told_and_an_occupied_chosen_one_replaced(home: Path) -> None:
    free = EmbeddedSettings.model_construct()
    first = settle_addresses(home, free)
    assert settle_addresses(home, free) == first
    with socket.create_server(("127.0.0.1", first.postgres_port)):
        assert settle_addresses(home, free).postgres_port != first.postgres_port
        taken = EmbeddedSettings.model_construct(postgres_port=first.postgres_port)
        with pytest.raises(EmbeddedError, match="CAUDAL_POSTGRES_PORT"), running_parts(home, taken):
            pass


def test_jars_out_of_reach_name_the_network_and_the_way_around(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr(jgo, "build", unreachable)
    with pytest.raises(EmbeddedError, match=r"Maven Central \(ConnectionError\): check the network.*CAUDAL_KAFKA"):
        kafka.prepare(home, settle_addresses(home, EmbeddedSettings.model_construct()), "512m")


def test_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(EmbeddedError, match="less than 512 MB free"), running_parts(tmp_path):
        pass


def wait_for_lines(log: Path, count: int) -> None:
    """Wait until the child and its workers have said that their signal handlers are in place."""
    deadline = time.monotonic() + 5
    while log.read_text().count("up") < count:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
