"""What a CRM may say a lead was worth."""

import pytest
from pydantic import ValidationError

from schemas.events.outcomes import OutcomeReport


@pytest.mark.parametrize("value", ["-1e308", "1.1e12", "1e999", '"NaN"', "NaN"])
def test_a_value_that_is_no_sum_of_money_is_refused_before_it_is_counted(value: str) -> None:
    with pytest.raises(ValidationError):
        OutcomeReport.model_validate_json(f'{{"lead_id": "x", "value": {value}}}')


@pytest.mark.parametrize("value", [0, 250.5, -40.0, 1e12])
def test_sums_of_money_are_taken(value: float) -> None:
    assert OutcomeReport.model_validate_json(f'{{"lead_id": "x", "value": {value}}}').value == value
