"""Score, warmth and priority of a lead: a function of its state, its engagement and the rules in force."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from schemas.events.event import Reason
from schemas.events.leads import LeadReceived, LeadState
from services.qualify.engagement import Engagement, worth
from services.qualify.rules import Band, ScoringRules


def disqualified(submission: LeadReceived, rules: ScoringRules) -> Reason | None:
    """Why this submission must be set aside: the first rule that says so, or None."""
    for rule in rules.disqualify:
        if rule.holds(submission):
            return Reason(code=rule.code, text=rule.text)
    return None


def product_line(submission: LeadReceived, rules: ScoringRules) -> str:
    """The line that a submission is about: the first whose conditions hold, else the default."""
    for candidate in rules.product_lines.lines:
        if candidate.holds(submission):
            return candidate.line
    return rules.product_lines.default


def scored(fields: Mapping[str, Any], engagement: Engagement, rules: ScoringRules) -> tuple[LeadState, list[Reason]]:
    """The lead of these fields with its score (fit + engagement, in points), warmth and priority, and why.

    The points of the reasons add up to the score.
    """
    lead = SimpleNamespace(**fields)
    reasons = [rule.reason for rule in rules.fit if rule.holds(lead)]
    fit = round(sum(reason.points or 0.0 for reason in reasons), 2)
    engaged = worth(engagement, rules.engagement)
    if engaged:
        reasons.append(_engaged(engaged, rules))
    band = _band(fit + engaged, rules)
    urgent = [rule for rule in rules.priority if rule.holds(lead)]
    reasons += [rule.reason for rule in urgent]
    reasons.append(band.reason)
    priority = max((rule.priority for rule in urgent), default=band.priority)
    score = {
        "fit": fit, "engagement": engaged, "score": round(fit + engaged, 2),
        "warmth": band.warmth, "priority": max(priority, band.priority),
    }  # fmt: skip
    return LeadState(**{**fields, **score}), reasons


def _engaged(points: float, rules: ScoringRules) -> Reason:
    half_life = rules.engagement.half_life_days
    return Reason(code="engagement", text=f"What the person did, halved every {half_life:g} days", points=points)


def _band(score: float, rules: ScoringRules) -> Band:
    for band in rules.warmth:
        if band.at_least is not None and score >= band.at_least:
            return band
    return rules.warmth[-1]
