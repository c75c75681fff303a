"""A service that stopped itself stays stopped, whoever starts it again, until an operator has looked."""

from __future__ import annotations

from services.runtime.errors import Halted
from services.runtime.fence import SQL
from services.runtime.postgres import Session, select, transaction


def halt(session: Session, name: str, why: str) -> Halted:
    """Note that the service must not go on by itself; the error to raise. The first note stands."""
    with transaction(session) as cursor:
        cursor.execute(SQL["halt_note"], {"name": name, "why": why})
        (noted,) = select(cursor, SQL["halt_read"])
    return _error(*noted)


def refuse(session: Session, confirmed: frozenset[str]) -> None:
    """Raises `Halted` while the service is halted, unless an operator has confirmed this halt: that lifts it."""
    with transaction(session) as cursor:
        cursor.execute(SQL["halt_lift"], {"names": sorted(confirmed)})
        rows = select(cursor, SQL["halt_read"])
    if rows:
        raise _error(*rows[0])


def _error(name: str, why: str) -> Halted:
    return Halted(f"{why}. Once that is mended set CAUDAL_CONFIRM_GAPS={name} to go on")
