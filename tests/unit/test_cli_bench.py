"""A bench never ends without a sentence, whatever comes in between."""

import json
import os
import signal
import subprocess
import sys

import pytest
import typer

from deploy.embedded.errors import EmbeddedError
from services.cli import bench
from services.cli.benches.intake import workers_of_intake
from services.cli.benches.posting import Load, figures

BENCH = """
import time
from services.cli.bench import tell
def measure():
    print("measuring", flush=True)
    time.sleep(60)
tell(measure, True)
"""


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_bench_that_is_told_to_end_says_so(asked: signal.Signals) -> None:
    code = f"import sys, typer\ntry:\n    exec({BENCH!r})\nexcept typer.Exit as e:\n    sys.exit(e.exit_code)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(asked)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (
        128 + asked,
        f"no figures: {asked.name} ended the bench before it was through\n",
    )


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), EmbeddedError("kafka ended")])
def test_a_failure_is_told_also_one_that_the_command_line_takes_for_a_reader_that_left(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure() -> dict[str, object]:
        raise error

    with pytest.raises(typer.Exit):
        bench.tell(measure, as_json=True)
    assert capsys.readouterr() == ("", f"no figures: {error}\n")


def test_for_programs_standard_output_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    bench.tell(lambda: {"leads": 3}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"leads": 3}


def test_a_batch_counts_as_the_leads_in_it_and_the_cpu_is_told_by_process() -> None:
    load = Load(lambda: b"", 0.0, took=[30.0, 10.0, 20.0, 40.0])
    before, after = {"intake": 1.0, "kafka": 5.0, "postgres": 1.0}, {"intake": 2.0, "kafka": 5.5, "postgres": 9.0}
    told = figures(load, 2.0, before, after, size=1000)
    assert (told["leads"], told["leads_per_s"], told["p50_ms"], told["p99_ms"]) == (4000, 2000.0, 25.0, 40.0)
    assert told["cpu_ms_by_process"] == {"intake": 0.25, "kafka": 0.125}
    assert told["cpu_ms_per_lead"] == 0.375


def test_the_number_of_intakes_processes_is_told_for_the_time_of_a_bench_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_INTAKE_WORKERS", "7")
    with workers_of_intake(2):
        assert os.environ["CAUDAL_INTAKE_WORKERS"] == "2"
    assert os.environ["CAUDAL_INTAKE_WORKERS"] == "7"
    monkeypatch.delenv("CAUDAL_INTAKE_WORKERS")
    with workers_of_intake(2):
        pass
    assert "CAUDAL_INTAKE_WORKERS" not in os.environ
