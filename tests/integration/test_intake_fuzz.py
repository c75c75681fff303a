"""The API as it describes itself, under whatever schemathesis makes of the description: a short run of `tests.fuzz`."""

from pathlib import Path

import pytest

from tests.fuzz import fuzz, fuzzed_intake


@pytest.mark.parametrize("seed", [1])
def test_no_request_whatever_is_in_it_is_answered_with_a_server_error(kafka: str, tmp_path: Path, seed: int) -> None:
    with fuzzed_intake(kafka, tmp_path) as (intake, keys):
        outcome = fuzz(intake, tmp_path, 8, keys, seed)
    assert (outcome.code, outcome.server_errors, outcome.alive) == (0, 0, True), outcome.said
    assert outcome.requests > 10
    assert outcome.proved > outcome.signed * 0.8
