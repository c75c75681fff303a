"""Gaps: the log no longer holds what a partition's fence says comes next. Nobody passes one but an operator."""

from __future__ import annotations

from collections.abc import Mapping, Set

from services.runtime.errors import LogGap
from services.runtime.transport import Consumer, Partition


def refuse(
    consumer: Consumer, expected: Mapping[Partition, int], confirmed: Set[str] = frozenset()
) -> dict[Partition, int]:
    """Raises `LogGap` where the log begins after, or ends before, the offset that comes next.

    Where an operator has confirmed the gap by its name: the offset with which the log begins now.
    """
    if not expected:
        return {}
    starts, ends = consumer.starts(list(expected)), consumer.ends(list(expected))
    gaps = [p for p, offset in sorted(expected.items()) if not starts[p] <= offset <= ends[p]]
    for p in gaps:
        if _name(p, expected[p]) not in confirmed:
            raise _gap(p, expected[p], starts[p], ends[p])
    return {p: starts[p] for p in gaps}


def _name(partition: Partition, offset: int) -> str:
    return "{}/{}@{}".format(*partition, offset)


def _gap(partition: Partition, offset: int, start: int, end: int) -> LogGap:
    return LogGap(
        f"{partition[0]} partition {partition[1]}: offset {offset} comes next, but the log holds {start} to {end}; "
        f"records are missing. To go on without them set CAUDAL_CONFIRM_GAPS={_name(partition, offset)}"
    )
