"""Requests that come too often, on every route: 429 and when to come again; who shows a valid key is not held back."""

from datetime import timedelta
from typing import Any

import pytest

from services.intake.client_address import networks
from services.intake.limits import Limits
from tests.unit.test_intake_deliver import KEY, KEYS, Desk

LEAD = {"email": "ana@example.com", "event": "asked", "properties": {"email": "ana@example.com"}}
ROUTES = {
    "own address": (f"/in/zap/{KEY}", {}),
    "leads": ("/v1/leads", {"x_api_key": KEY}),
    "tracking": ("/v1/track", {"x_api_key": KEY}),
}
STRANGERS = {
    "no source": ("/in/nobody", {}),
    "key in the path": (f"/in/zap/{KEY[:-1]}_", {}),
    "signature": ("/in/form", {"typeform_signature": "sha256=x"}),
    "leads": ("/v1/leads", {"authorization": "Bearer x"}),
    "tracking": ("/v1/batch", {}),
}


def desk(limits: Limits | None = None, **entry: Any) -> Desk:
    form = {"signature": {"scheme": "typeform"}}
    found = Desk({"zap": {"keys": KEYS, **entry}, "form": form}, {"form": ["s"]}, limits=limits or Limits())
    return found


@pytest.mark.parametrize("case", ROUTES)
def test_a_source_is_held_to_its_rate_on_every_route(case: str) -> None:
    path, headers = ROUTES[case]
    at = desk(rate={"per_s": 0.1, "burst": 2})
    answers = [at.post(path, LEAD, **headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2].headers["retry-after"], answers[2].json()["code"]) == ("10", "too_many_requests")
    at.now += timedelta(seconds=10)
    assert at.post(path, LEAD, **headers).status_code == 200
    assert len(at.messages) == 3


def test_strangers_use_up_nothing_of_a_source() -> None:
    at = desk(rate={"per_s": 0.1, "burst": 1})
    assert at.post("/in/zap", LEAD).status_code == 401
    assert at.post(f"/in/zap/{KEY}", LEAD).status_code == 200


@pytest.mark.parametrize("case", STRANGERS)
def test_twenty_failures_of_one_address_in_a_minute_are_enough(case: str) -> None:
    path, headers = STRANGERS[case]
    at = desk()
    assert [at.post(path, LEAD, **headers).status_code for _ in range(21)] == [401] * 20 + [429]
    answer = at.post(path, LEAD, **headers)
    assert (answer.headers["retry-after"], answer.json()["code"]) == ("3", "too_many_failures")
    assert at.post(f"/in/zap/{KEY}", LEAD).status_code == 200
    at.now += timedelta(seconds=60)
    assert at.post(path, LEAD, **headers).status_code == 401


@pytest.mark.parametrize(("trusted", "held"), [("", True), ("192.0.2.0/24", True), ("127.0.0.0/8", False)])
def test_a_forged_address_does_not_get_round_the_limit(trusted: str, held: bool) -> None:
    """The application sees 127.0.0.1: only as a trusted proxy it is believed that each request is another's."""
    at = desk(Limits(networks(trusted)))
    codes = [at.post("/in/zap", LEAD, x_forwarded_for=f"198.51.100.{n}").status_code for n in range(21)]
    assert (codes[-1] == 429) is held
    assert at.post("/in/zap", LEAD, x_forwarded_for="1.1.1.1, 198.51.100.250", forwarded="for=1.1.1.1").status_code == (
        429 if held else 401)  # fmt: skip
