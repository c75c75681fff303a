"""Parts of events, for readers that need a few fields: parsing whole events costs three times as much.

A service declares its views beside its other modules and names them as the models of the topic that it reads. Field
names and meanings are those of the contract.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from schemas.events.event import Part
from schemas.events.leads import SubmissionClosed


class Told(Part):
    """What every reader needs of any event."""

    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    correlation_id: str


class Closed(Told):
    """A submission that opened no lead, for readers to whom it is of no concern."""

    types: ClassVar = SubmissionClosed.types
