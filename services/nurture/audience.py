"""Audiences: which sequence fits a lead, and what bars it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.nurture import rules
from services.nurture.consents import refusal
from services.nurture.views import LeadOf
from services.nurture.world import Consent, Facts, Lead


def facts_of(state: LeadOf, correlation_id: str) -> Facts:
    """What nurture keeps of a lead's state."""
    contact = state.contact
    return Facts(
        person_id=state.person_id, correlation_id=correlation_id, status=state.status, is_test=state.is_test,
        warmth=state.warmth, score=state.score, origin_type=state.origin.origin_type, product_line=state.product_line,
        product=state.product, email=contact.email, name=contact.given_name, company=contact.company,
        country=contact.country, language=contact.language,
    )  # fmt: skip


def spoken(language: str | None, known: Iterable[str], default: str) -> str:
    """The language to write in: the lead's own (`es` of `es-MX`) where there is copy for it, else the default."""
    wanted = (language or default).replace("_", "-").split("-", 1)[0].lower()
    return wanted if wanted in known else default


def fits(facts: Facts, audience: rules.Audience, default_language: str) -> bool:
    """Whether a lead is one of those for whom a sequence was written."""
    language = (facts.language or default_language)[:2].lower()
    return (
        facts.email is not None
        and facts.status == "open"
        and not facts.is_test
        and (audience.warmth is None or facts.warmth in audience.warmth)
        and (audience.score_below is None or facts.score < audience.score_below)
        and (audience.origin_types is None or facts.origin_type in audience.origin_types)
        and (audience.product_lines is None or facts.product_line in audience.product_lines)
        and (audience.languages is None or language in audience.languages)
    )


def fitting(facts: Facts, book: rules.NurtureRules) -> list[rules.Sequence]:
    """Sequences whose audience a lead belongs to, in the book's order."""
    return [s for s in book.sequences if fits(facts, s.audience, book.default_language)]


def barrier(lead: Lead, sequence: rules.Sequence | None, consents: Sequence[Consent]) -> str | None:
    """Why a lead must not be, or stay, in a sequence; None when nothing speaks against it."""
    facts = lead.facts
    if sequence is None:
        return "sequence_removed"
    if facts is None or facts.email is None:
        return "no_address"
    if facts.status != "open":
        return f"lead_{facts.status}"
    if (reason := refusal(consents, sequence.purpose, sequence.needs_consent)) is not None:
        return reason
    if stopping := lead.outcomes.intersection(sequence.stop.outcomes):
        return min(stopping)
    return f"warmth_{facts.warmth}" if facts.warmth in sequence.stop.warmth else None
