"""The stand of the benches, on real parts of its own: what ends there is named, and its logs are kept."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from deploy.embedded.errors import EmbeddedError
from services.cli.benches.stand import stand


def wait_without_a_broker() -> None:
    with stand() as here:
        os.kill(json.loads((here.home / "run" / "kafka.json").read_text())["pid"], signal.SIGKILL)
        here.until(lambda: False, 60, "this never is so")


def test_a_broker_that_ends_beside_a_bench_is_named_at_once_and_the_logs_stay() -> None:
    before = os.environ.get("CAUDAL_HOME")
    with pytest.raises(EmbeddedError, match="kafka ended") as told:
        wait_without_a_broker()
    assert os.environ.get("CAUDAL_HOME") == before
    found = re.search(r"\nlogs: (.*)$", str(told.value))
    assert found is not None
    logs = Path(found[1])
    try:
        assert "kafka-broker.log" in {file.name for file in logs.iterdir()}
        assert [file.name for file in logs.parent.iterdir()] == ["logs"]
    finally:
        shutil.rmtree(logs.parents[1])


def test_what_the_block_raises_is_told_by_its_kind_where_nothing_ended() -> None:
    with pytest.raises(EmbeddedError, match="BrokenPipeError: the other side is gone") as told, stand():
        raise BrokenPipeError("the other side is gone")
    shutil.rmtree(Path(str(told.value).rpartition("logs: ")[2]).parents[1])
