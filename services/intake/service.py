"""Intake's engine side: one input topic per source of kind `kafka`, one handler, no tables of its own."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.topics import source_topic
from services.intake.decide import decide
from services.intake.rules import SourceRules
from services.intake.settings import IntakeSettings
from services.runtime.postgres import Cursor
from services.runtime.service import Service
from services.runtime.verdict import Context, Incoming, Verdict


def build(settings: IntakeSettings) -> Service:
    """The service for these settings' sources."""

    def on_record(event: Incoming, _world: None, context: Context) -> Verdict:
        return decide(event, settings.secret, context)

    return Service(
        name="intake",
        inputs=tuple(map(source_topic, settings.source_names())),
        gather=_nothing_to_gather,
        decide=on_record,
        apply=_nothing_to_apply,
        books={"sources": SourceRules},
    )


def _nothing_to_gather(_cursor: Cursor, _events: Sequence[Incoming], _context: Context) -> None:
    """A submission is read by itself."""


def _nothing_to_apply(_cursor: Cursor, _world: None) -> None:
    """The engine's inbox is all there is to remember."""
