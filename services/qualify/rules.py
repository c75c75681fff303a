"""The rule book `scoring`: what is set aside, which product line it is, and what makes a lead warm."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.events.event import Reason
from schemas.events.leads import LeadReceived, LeadState
from services.qualify.conditions import Condition, Test, all_hold, known_fields

BOOK = "scoring"

Conditions = Annotated[tuple[Condition, ...], Field(min_length=1)]
AboutSubmission = Annotated[Conditions, AfterValidator(known_fields(LeadReceived))]
AboutLead = Annotated[Conditions, AfterValidator(known_fields(LeadState))]


class Rules(BaseModel):
    """A piece of the book: frozen, and strict about names, so that a typing error is found before it is in force."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(Rules):
    """Something that holds where all its conditions do."""

    when: Conditions

    @cached_property
    def holds(self) -> Test:
        """Whether it holds for a submission or lead; compiled on first use."""
        return all_hold(self.when)


class Disqualification(Rule):
    """A submission that meets all conditions is set aside with this code and text."""

    code: str
    text: str
    when: AboutSubmission


class ProductLine(Rule):
    """A submission that meets all conditions is about this line."""

    line: str
    when: AboutSubmission


class ProductLines(Rules):
    """The first line whose conditions hold, else the default."""

    default: str
    lines: tuple[ProductLine, ...] = ()


class FitRule(Rule):
    """A lead that meets all conditions gains these points (loses them when negative)."""

    code: str
    text: str
    points: float
    when: AboutLead

    @cached_property
    def reason(self) -> Reason:
        """What a matched rule says."""
        return Reason(code=self.code, text=self.text, points=self.points)


class PriorityRule(Rule):
    """A lead that meets all conditions has at least this priority."""

    code: str
    text: str
    priority: int
    when: AboutLead

    @cached_property
    def reason(self) -> Reason:
        """What a matched rule says."""
        return Reason(code=self.code, text=self.text)


class EngagementRules(Rules):
    """Points by kind of activity; each loses half of its worth every `half_life_days` days."""

    half_life_days: float = Field(gt=0)
    at_most: float = Field(gt=0)
    repeated_submission: float
    activities: dict[str, float]


class Band(Rules):
    """From `at_least` points on, a lead is this warm and has at least this priority."""

    warmth: str
    at_least: float | None = None
    priority: int = 0

    @cached_property
    def reason(self) -> Reason:
        """What a matched band says."""
        text = "The score reaches no higher band" if self.at_least is None else f"The score reaches {self.at_least:g}"
        return Reason(code=f"warmth_{self.warmth}", text=text)


class ScoringRules(Rules):
    """The whole book."""

    disqualify: tuple[Disqualification, ...] = ()
    product_lines: ProductLines
    fit: tuple[FitRule, ...] = ()
    engagement: EngagementRules
    warmth: tuple[Band, ...] = Field(min_length=1)
    priority: tuple[PriorityRule, ...] = ()

    @model_validator(mode="after")
    def _bands_descend(self) -> Self:
        bounds = [band.at_least for band in self.warmth]
        steps = [bound for bound in bounds if bound is not None]
        if bounds != [*sorted(set(steps), reverse=True), None]:
            raise ValueError("warmth: name the bands from the highest at_least down, the last one without at_least")
        return self
