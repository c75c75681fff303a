"""A body is taken when it is there, waited for while it comes, and given up when it does not."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.intake import body as body_module
from services.intake.answers import Problem
from services.intake.body import read_body


class Sender:
    """Pieces of a body, each after a pause of so many seconds; none where there is no pause."""

    def __init__(self, *pieces: tuple[float, bytes]) -> None:
        self.pieces, self.left = list(pieces), False

    async def receive(self) -> dict[str, Any]:
        pause, piece = self.pieces.pop(0)
        try:
            if pause:
                await asyncio.sleep(pause)
        finally:
            self.left = True
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}


def read(pieces: Sequence[tuple[float, bytes]]) -> bytes | Problem:
    return asyncio.run(read_body({}, Sender(*pieces).receive))


def test_a_body_that_is_there_needs_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(asyncio, "timeout")
    assert read([(0, b"one "), (0, b"two")]) == b"one two"


def test_a_body_that_comes_in_pieces_is_waited_for() -> None:
    assert read([(0.001, b"one "), (0, b"two "), (0.001, b"three")]) == b"one two three"


@pytest.mark.parametrize("first", [(60, b""), (0, b"one"), (0.001, b"one")])
def test_a_body_that_does_not_come_is_given_up(first: tuple[float, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "_BODY_WITHIN_S", 0.02)
    result = read([first, (60, b"late")])
    assert isinstance(result, Problem)
    assert (result.status, result.code, result.close) == (408, "too_slow", True)


def test_whoever_waits_for_a_body_may_be_told_to_stop() -> None:
    sender = Sender((60, b""))

    async def scene() -> None:
        reading = asyncio.create_task(read_body({}, sender.receive))
        await asyncio.sleep(0.001)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scene())
    assert sender.left
