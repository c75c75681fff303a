"""The reports by name, as the command line, the HTTP API and the console offer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from services.analytics.reports.deadletters import deadletters
from services.analytics.reports.funnel import funnel
from services.analytics.reports.question import Question
from services.analytics.reports.speed import speed
from services.analytics.reports.submissions import submissions
from services.runtime.postgres import Cursor

Report = Callable[[Cursor, Question], Sequence[Any]]

REPORTS: Mapping[str, Report] = MappingProxyType({
    "funnel": funnel, "speed": speed, "submissions": submissions, "deadletters": deadletters,
})  # fmt: skip
