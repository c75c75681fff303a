"""The pace of an import: how far ahead of its readers it may be, and what it does while they or the broker are away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from services.intake.files.outlet import AHEAD, LEAST_AHEAD, READERS, PacedOutlet, Reading
from services.runtime.errors import Unavailable
from services.runtime.transport import Message

QUALIFY, ROUTER = READERS["leads"]


@dataclass
class Sink:
    """A producer whose broker is away for the first calls."""

    away: int = 0
    taken: list[int] = field(default_factory=list)

    def publish(self, messages: Sequence[Message], may_send: object) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        self.taken.append(len(messages))

    def close(self) -> None:
        """Nothing to close."""


def test_what_the_broker_did_not_acknowledge_goes_again() -> None:
    sink = Sink(away=1)
    Stage([], sink).outlet.publish([Message("t", b"", b"", ())])
    assert sink.taken == [1]


@dataclass
class Stage:
    """Readers that are as far behind as the test says, one look after the other, and a clock that only sleeps move."""

    looks: list[Mapping[str, int]]
    sink: Sink = field(default_factory=Sink)
    readers: Sequence[Reading] = (QUALIFY,)
    stopped: bool = False
    now: float = 0.0
    told: list[int] = field(default_factory=list)
    outlet: PacedOutlet = field(init=False)

    def __post_init__(self) -> None:
        self.outlet = PacedOutlet(
            self.sink, self, self.readers, lambda: self.stopped, self.told.append, lambda: self.now, self.sleep
        )

    def records(self) -> Mapping[str, int]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.stopped = self.stopped or self.now > 60


def behind(qualify: int, router: int = 0) -> Mapping[str, int]:
    return {QUALIFY.group: qualify, ROUTER.group: router}


def test_it_waits_until_the_readers_are_near_and_is_never_further_ahead_than_it_may_be() -> None:
    stage = Stage([behind(AHEAD), behind(250), behind(AHEAD - 100), behind(0)])
    assert [stage.outlet.room(), stage.outlet.room()] == [100, AHEAD]
    assert stage.now > 0.03


@pytest.mark.parametrize("left", range(0, AHEAD, 20))
def test_what_may_go_never_makes_more_than_three_hundred_ahead_of_qualify(left: int) -> None:
    stage = Stage([behind(left), behind(0)], readers=(QUALIFY, ROUTER))
    room, waited = stage.outlet.room(), stage.now > 0
    assert room + (0 if waited else left) == AHEAD == 300


def test_a_slow_reader_is_given_less_but_never_so_little_that_its_batches_cost_more_than_its_records() -> None:
    """Ever smaller portions make a reader ever slower: 100,000 rows took four minutes in place of two."""
    stage = Stage([behind(0)])
    given = []
    for _ in range(20):
        given.append(stage.outlet.room())
        stage.now += 2.0  # it took two seconds for what was given
    assert given[0] == AHEAD
    assert given[-1] == LEAST_AHEAD


def test_the_router_may_be_behind_twice_as_far_since_it_gets_all_at_once_what_qualify_took_at_once() -> None:
    stage = Stage([behind(0, AHEAD)], readers=(QUALIFY, ROUTER))
    assert stage.outlet.room() == AHEAD - AHEAD // 2
    assert stage.now == 0.0


def test_it_waits_for_a_router_that_is_too_far_behind() -> None:
    stage = Stage([behind(0, 2 * AHEAD), behind(0)], readers=(QUALIFY, ROUTER))
    assert stage.outlet.room() > 0
    assert stage.now > 0.0


def test_who_imports_is_told_once_when_nobody_reads() -> None:
    stage = Stage([behind(AHEAD)])
    assert stage.outlet.room() == 0
    assert stage.told == [AHEAD]


def test_nothing_may_go_once_it_is_to_stop() -> None:
    assert Stage([behind(0)], stopped=True).outlet.room() == 0
