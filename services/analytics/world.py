"""What one batch tells, gathered in memory: partial rows merged by key, and counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from schemas.events.operations import DeadLetter
from services.analytics.rows import Lead, Submission, merge_leads, merge_submissions


@dataclass(slots=True)
class World:
    """The batch's own account; the database merges it into its rows (`store.apply`)."""

    shard: int
    leads: dict[str, Lead] = field(default_factory=dict)
    submissions: dict[str, Submission] = field(default_factory=dict)
    moved: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    opened: list[tuple[datetime, str]] = field(default_factory=list)
    reps: dict[str, str] = field(default_factory=dict)
    dead_letters: list[tuple[str, DeadLetter]] = field(default_factory=list)

    def tell_lead(self, lead: Lead) -> None:
        """Fold in what an event tells of a lead."""
        known = self.leads.get(lead.lead_id)
        self.leads[lead.lead_id] = lead if known is None else merge_leads(known, lead)

    def tell_submission(self, submission: Submission) -> None:
        """Fold in what an event tells of a submission."""
        known = self.submissions.get(submission.submission_id)
        self.submissions[submission.submission_id] = (
            submission if known is None else merge_submissions(known, submission)
        )
