"""Intake's tables, for commands that look into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import psycopg2.errors

from services.runtime.errors import CaudalError, Unavailable
from services.runtime.postgres import Cursor, connect, transaction


class NotYet(CaudalError):
    """Intake's worker, which makes its tables, has not run here yet."""


@contextmanager
def intake_tables(postgres: str) -> Iterator[Cursor]:
    """One transaction on them. Raises `NotYet`, or `Unavailable` with the first line of what PostgreSQL says."""
    try:
        with closing(connect(postgres, "intake", "caudal-cli")) as session, transaction(session) as cursor:
            yield cursor
    except psycopg2.errors.UndefinedTable:
        raise NotYet("intake's worker has not run here yet: `caudal up` starts it") from None
    except psycopg2.Error as error:
        raise Unavailable(str(error).strip().splitlines()[0]) from None
