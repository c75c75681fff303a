"""How often a sender may call, and which address it is that calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.client_address import client_address, household, networks
from services.intake.ratelimit import Limiter
from services.intake.settings import IntakeSettings
from services.intake.sources.source import Rate

SLOW = Rate(per_s=0.5, burst=3)


def test_a_burst_passes_and_then_one_at_a_time_as_the_rate_says() -> None:
    limiter = Limiter()
    assert [limiter.admit("a", SLOW, 100) for _ in range(4)] == [None, None, None, 2]
    assert [limiter.admit("a", SLOW, at) for at in (101, 102, 102, 104)] == [1, None, 2, None]
    assert [limiter.admit("a", SLOW, 1000) for _ in range(4)] == [None, None, None, 2]


def test_each_name_has_its_own_bucket() -> None:
    limiter = Limiter()
    assert [limiter.admit(name, Rate(per_s=1, burst=1), 0) for name in ("a", "b", "a")] == [None, None, 1]


def test_names_are_forgotten_but_not_those_that_call() -> None:
    limiter, one = Limiter(most_names=3), Rate(per_s=0.001, burst=2)
    for name in ("a", "b", "c", "a", "d"):
        assert limiter.admit(name, one, 0) is None
    assert limiter.admit("a", one, 0) is not None
    assert [limiter.admit("b", one, 0) for _ in range(3)][:2] == [None, None]
    assert len(limiter._full_at) == 3


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    limiter = Limiter()
    for _ in range(3):
        limiter.admit("a", SLOW, 1_000_000)
    assert limiter.admit("a", SLOW, 0) == 2
    assert limiter.admit("a", SLOW, 2) is None


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.sampled_from([0.3, 1.0, 7.0]))
def test_never_more_than_burst_and_rate_and_after_the_wait_one_more(
    gaps: list[float], burst: int, per_s: float
) -> None:
    limiter, rate, now = Limiter(), Rate(per_s=per_s, burst=burst), 0.0
    passed: list[float] = []
    for gap in gaps:
        now += gap
        wait = limiter.admit("a", rate, now)
        if wait is not None:
            assert 0 < wait <= 1 / per_s + 1e-6
            now += wait
            assert limiter.admit("a", rate, now + 1e-6) is None
        passed.append(now)
    for n, first in enumerate(passed):
        assert all(k + 1 <= burst + per_s * (at - first) + 1e-3 for k, at in enumerate(passed[n:]))


TRUSTED = networks("10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [("203.0.113.5", ["198.51.100.1"], "203.0.113.5"), ("203.0.113.5", [], "203.0.113.5"),
     ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"), ("10.0.0.1", ["192.0.2.9, 198.51.100.1"], "198.51.100.1"),
     ("10.0.0.1", ["192.0.2.9", "198.51.100.1"], "198.51.100.1"),
     ("10.0.0.1", ["192.0.2.9, 198.51.100.1, 10.2.2.2"], "198.51.100.1"),
     ("10.0.0.1", ["10.0.0.3,10.0.0.2"], "10.0.0.3"), ("10.0.0.1", [], "10.0.0.1"), ("10.0.0.1", [""], "10.0.0.1"),
     ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"), ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
     ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"), ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
     ("fd00::1", ["2001:db8::1"], "2001:db8::1"), ("10.0.0.1", ["unknown"], "10.0.0.1"),
     ("10.0.0.1", ["127.0.0.1"], "127.0.0.1"), ("", ["198.51.100.1"], "")],
)  # fmt: skip
def test_only_a_trusted_proxy_is_believed_and_only_its_last_word(peer: str, forwarded: list[str], address: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == address


def test_without_trusted_proxies_the_peer_is_the_peer() -> None:
    assert client_address("10.0.0.1", ["198.51.100.1"], ()) == "10.0.0.1"


@given(st.text("1.:,f[]% ", max_size=40))
def test_no_header_raises(forwarded: str) -> None:
    assert client_address("10.0.0.1", [forwarded], TRUSTED)
    assert household(forwarded)


@pytest.mark.parametrize(
    ("address", "counted"),
    [("198.51.100.1", "198.51.100.1"), ("2001:db8::1:2", "2001:db8::/64"), ("::ffff:198.51.100.1", "198.51.100.1"),
     ("", "unknown"), ("x" * 10_000, "unknown")],
)  # fmt: skip
def test_what_is_counted_of_an_address(address: str, counted: str) -> None:
    assert household(address) == counted


@pytest.mark.parametrize("written", ["10.0.0.1/8", "proxy.example.com", "*"])
def test_a_proxy_that_cannot_be_read_is_a_wrong_setting(written: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        IntakeSettings(trusted_proxies=written)
