"""A bench never ends without a sentence, whatever comes in between."""

import json
import signal
import subprocess
import sys

import pytest
import typer

from deploy.embedded.errors import EmbeddedError
from services.cli import bench

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
