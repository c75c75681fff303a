"""How full the caps of a source are, as intake has counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import psycopg2.errors

from services.intake.caps.store import filled
from services.intake.sources.source import Source
from services.runtime.postgres import connect, transaction


def caps_left(postgres: str, source: Source) -> Iterator[str]:
    """A line for each cap: what its present window has counted, and when it ends; or why that cannot be told."""
    try:
        with closing(connect(postgres, "intake", "caudal-cli")) as session, transaction(session) as cursor:
            counts = filled(cursor, source, datetime.now(UTC))
    except psycopg2.errors.UndefinedTable:
        yield "nothing counted yet"
    except psycopg2.Error as error:
        yield f"not known, PostgreSQL: {str(error).strip().splitlines()[0]}; see `caudal doctor`"
    else:
        for window, used in counts:
            when = f"in this {window.per}, which ends at {window.ends.isoformat()}" if window.ends else "in all"
            yield f"{used:,} of {window.most:,} leads {when}{'; full' * (used >= window.most)}"
