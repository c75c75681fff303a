"""No mail after a withdrawal: recomputed from what nurture had read when it sent each mail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from services.cli.books import Entry
from services.cli.verification.tables import parsed
from services.nurture.consents import refusal
from services.nurture.rules import NurtureRules
from services.nurture.world import Consent
from services.runtime.postgres import Cursor, load_queries, select

RULE = "sent_after_withdrawal"
TEXT = "a mail went out although nurture had read that its recipient wants none"
SQL = load_queries("services.cli.verification", "touches.sql")


def unwanted(cursor: Cursor, books: Iterable[Entry]) -> Iterator[str]:
    """Mails that nurture's own rule refuses, given the consents that had come in by the mail's `applied_until`.

    What came in later may have crossed the mail; a mail that was due later cannot have been sent before it was read.
    """
    versions = parsed(books, "nurture", NurtureRules)
    said = _said(cursor)
    for mail, address, sequence, version, applied_until in select(cursor, SQL["mails"]):
        rules = versions[version].sequence(sequence) if version in versions else None
        known = _as_of(said.get(address, ()), applied_until)
        if refusal(known, rules.purpose if rules else "", needs_consent=False):
            yield mail


def _said(cursor: Cursor) -> dict[str, list[tuple[Consent, datetime]]]:
    found: dict[str, list[tuple[Consent, datetime]]] = {}
    for *columns, came_in in select(cursor, SQL["said"]):
        found.setdefault(columns[0], []).append((Consent(*columns), came_in))
    return found


def _as_of(said: Sequence[tuple[Consent, datetime]], moment: datetime) -> list[Consent]:
    """The highest version of each consent that had come in before `moment`."""
    last = {(c.channel, c.purpose): c for c, came_in in said if came_in < moment}
    return list(last.values())
