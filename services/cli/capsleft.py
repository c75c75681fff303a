"""How full the caps of a source are, as intake has counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from services.cli.intaketables import NotYet, intake_tables
from services.intake.caps.store import filled
from services.intake.sources.source import Source
from services.runtime.errors import Unavailable


def caps_left(postgres: str, source: Source) -> Iterator[str]:
    """A line for each cap: what its present window has counted, and when it ends; or why that cannot be told."""
    try:
        with intake_tables(postgres) as cursor:
            counts = filled(cursor, source, datetime.now(UTC))
    except NotYet:
        yield "nothing counted yet"
    except Unavailable as error:
        yield f"not known, PostgreSQL: {error}; see `caudal doctor`"
    else:
        for window, used in counts:
            when = f"in this {window.per}, which ends at {window.ends.isoformat()}" if window.ends else "in all"
            yield f"{used:,} of {window.most:,} leads {when}{'; full' * (used >= window.most)}"
