"""What may be sent, each with its reader: posted to `/v1/<name>`, or as the rows of a list."""

from __future__ import annotations

from collections.abc import Mapping

from services.intake.arrival import Reader
from services.intake.reports import read_activity, read_consent, read_outcome, read_result
from services.intake.sources.source import Accepts
from services.intake.submission import read_lead

READERS: Mapping[Accepts, Reader] = {
    "leads": read_lead,
    "activities": read_activity,
    "consents": read_consent,
    "outcomes": read_outcome,
    "results": read_result,
}
