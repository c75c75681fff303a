"""Posts to intake, answered after the broker's acknowledgement: leads per second, CPU per lead, time per answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, cycle

from services.cli.benches.posting import event, figures, head, person, post
from services.cli.benches.stand import stand

_WARM_S = 15  # the broker's virtual machine compiles for so long, beside whom it serves
_DIFFERENT = 40  # batches written beforehand and sent again and again: intake remembers none


def intake(seconds: int, connections: int = 32) -> dict[str, object]:
    """Post different leads on `connections` connections, one at a time on each, for `seconds`."""
    with stand() as here:
        here.start("intake")
        begin, numbers = head(here), count()

        def request() -> bytes:
            body = person(b"steady%d" % next(numbers))
            return b"%s%d\r\n\r\n%s" % (begin, len(body), body)

        post(here, request, _WARM_S, connections)
        before = here.cpu()
        load, elapsed = post(here, request, seconds, connections)
        return figures(load, elapsed, before, here.cpu())


def batch(seconds: int, workers: int, size: int, connections: int, sdk: bool = False) -> dict[str, object]:
    """Post batches of `size` leads on `connections` connections, one at a time on each, for `seconds`.

    With `sdk` as Segment's SDKs post them, to `/v1/batch`; else lists of leads to `/v1/leads`.
    """
    one, opening, closing = (event, b'{"batch":[', b"]}") if sdk else (person, b"[", b"]")
    with stand() as here, workers_of_intake(workers):
        here.start("intake")
        begin = head(here, "/v1/batch", "app") if sdk else head(here)
        items = [b",".join(one(b"batch%d" % (n * size + m)) for m in range(size)) for n in range(_DIFFERENT)]
        bodies = [opening + listed + closing for listed in items]
        requests = cycle([b"%s%d\r\n\r\n%s" % (begin, len(body), body) for body in bodies])
        post(here, lambda: next(requests), _WARM_S, connections)
        before = here.cpu()
        load, elapsed = post(here, lambda: next(requests), seconds, connections)
        return figures(load, elapsed, before, here.cpu(), size)


@contextmanager
def workers_of_intake(number: int) -> Iterator[None]:
    """Intake is started with so many processes for the time of the block."""
    before = os.environ.get("CAUDAL_INTAKE_WORKERS")
    os.environ["CAUDAL_INTAKE_WORKERS"] = str(number)
    try:
        yield
    finally:
        os.environ.pop("CAUDAL_INTAKE_WORKERS")
        if before is not None:
            os.environ["CAUDAL_INTAKE_WORKERS"] = before
