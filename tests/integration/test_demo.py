"""`caudal demo` as a newcomer runs it: alone in its home, and over when what it plays on is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deploy.demo.day import PLATFORM, day
from deploy.embedded.errors import EmbeddedError
from deploy.embedded.home import write_private
from deploy.embedded.supervisor import FULL_STOP_SECONDS, ChildState, State
from services.cli.installation import check_runs
from services.cli.playing import Tally, Ways, play
from services.cli.sending import Ledger
from services.intake.sources.source import Source

DEMO = [sys.executable, "-m", "services.cli", "demo"]
SOON_S = 6.0  # a look each half second, three for what hangs, and a busy machine


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    folder.chmod(0o755)  # PostgreSQL runs as another user where this process is root
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CAUDAL_")]:
            patch.delenv(name)
        patch.setenv("CAUDAL_HOME", str(folder / "home"))
        yield folder / "home"


@contextmanager
def playing(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A sample day whose sources have begun to post."""
    home.mkdir(exist_ok=True)
    ledgers = set(home.glob("ledger/*"))
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        try:
            until = time.monotonic() + 90
            while set(home.glob("ledger/*")) == ledgers:
                assert demo.poll() is None, demo.stdout and demo.stdout.read()
                assert time.monotonic() < until, "nothing was acknowledged"
                time.sleep(0.1)
            yield demo
        finally:
            if demo.poll() is None:
                demo.terminate()
                with suppress(subprocess.TimeoutExpired):
                    demo.wait(FULL_STOP_SECONDS)
                demo.kill()


def said(demo: subprocess.Popen[str]) -> str:
    return demo.communicate(timeout=SOON_S)[0]


def test_second_play_is_refused_and_the_first_ends_when_its_installation_is_stopped(home: Path) -> None:
    with playing(home) as demo:
        ledgers = set(home.glob("ledger/*"))
        second = subprocess.run(DEMO, capture_output=True, text=True, timeout=20, check=False)
        assert (second.returncode, second.stdout, len(second.stderr.splitlines())) == (1, "", 1)
        assert f"already (process {demo.pid}, since " in second.stderr
        assert set(home.glob("ledger/*")) == ledgers
        assert demo.poll() is None
        subprocess.run([sys.executable, "-m", "services.cli", "down"], timeout=60, check=True)
        last = said(demo).splitlines()[-1]
    assert "Caudal was stopped on" in last
    assert demo.returncode == 0


def test_play_is_ended_at_once_while_neither_intake_nor_the_broker_answers(tmp_path: Path) -> None:
    parcels, began = day(50), time.monotonic()
    keys = dict.fromkeys({parcel.source for parcel in parcels}, "key")
    ways = Ways("http://127.0.0.1:1/v1/leads", keys, "127.0.0.1:1", Source(name=PLATFORM, kind="kafka"), "secret")

    def look() -> None:
        if time.monotonic() - began > 1:
            raise EmbeddedError("it was stopped")

    with pytest.raises(EmbeddedError, match="it was stopped"):
        play(parcels, 0, ways, Tally(Ledger(tmp_path / "ledger.jsonl")), look)
    assert time.monotonic() - began < 3.5


def noted(home: Path, alive: bool, **more: object) -> None:
    started = psutil.Process().create_time() - (0 if alive else 60)
    write_private(home / "state.json", State(pid=os.getpid(), started=started, ready=True, **more).model_dump_json())


def test_what_has_ended_is_told_with_its_reason(tmp_path: Path) -> None:
    noted(tmp_path, alive=True)
    check_runs(tmp_path)
    noted(tmp_path, alive=False, failed="router died 5 times within a minute: see router.log.")
    with pytest.raises(EmbeddedError, match=r"any more \(router died 5 times .*router\.log\): begin anew"):
        check_runs(tmp_path)
    noted(tmp_path, alive=False)
    with pytest.raises(EmbeddedError, match="it was killed"):
        check_runs(tmp_path)


def test_service_that_stays_down_is_told(tmp_path: Path) -> None:
    child = ChildState(
        name="router", pid=1, started=0, restarts=0, log=tmp_path / "router.log", down="records are gone"
    )
    noted(tmp_path, alive=True, children=(child,))
    with pytest.raises(EmbeddedError, match=r"^router stays down: records are gone\. Mend that"):
        check_runs(tmp_path)
