"""What an installation has counted so far, for the one who watches: from analytics' aggregates and the mail catcher."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields

import psycopg2

from services.cli.installation import Installation

_SQL = """
SELECT coalesce(sum(leads), 0)::int, coalesce(sum(assigned), 0)::int, coalesce(sum(accepted), 0)::int,
  coalesce(sum(won), 0)::int, coalesce(sum(lost), 0)::int,
  (SELECT coalesce(sum(n), 0)::int FROM analytics.submissions WHERE end_state <> 'accepted'),
  (SELECT count(*)::int FROM analytics.dead_letter)
FROM analytics.funnel"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Leads by how far they got, submissions with an end state, dead letters, mails caught."""

    leads: int = 0
    assigned: int = 0
    accepted: int = 0
    won: int = 0
    lost: int = 0
    ended: int = 0
    dead_letters: int = 0
    mails: int = 0

    def since(self, before: Figures) -> Figures:
        """What was added after `before`."""
        return Figures(*(getattr(self, f.name) - getattr(before, f.name) for f in fields(self)))


def figures(here: Installation) -> Figures:
    """As counted now; zeros where analytics does not answer."""
    counted: Sequence[int] = (0,) * 7
    with suppress(psycopg2.Error):
        connection = psycopg2.connect(here.postgres, connect_timeout=3)
        try:
            with connection.cursor() as cursor:
                cursor.execute(_SQL)
                counted = cursor.fetchone() or counted
        finally:
            connection.close()
    return Figures(*(*counted, _mails(here.ports.mailbox)))


def _mails(port: int) -> int:
    """Mails in the catcher; 0 where none runs."""
    url = f"http://127.0.0.1:{port}/count"
    with suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=2) as answer:
        return int(json.loads(answer.read())["mails"])
    return 0
