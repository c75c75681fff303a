"""Who calls too often is told when to come again. Who proves who he is never pays for strangers at his address."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from starlette.types import Scope

from services.intake.answers import Problem
from services.intake.client_address import Network, client_address, household
from services.intake.ratelimit import FAILURES, Limiter
from services.intake.sources.source import Source


@dataclass(frozen=True, slots=True)
class Limits:
    """The buckets of one process, and the proxies that it believes."""

    trusted: tuple[Network, ...] = ()
    sources: Limiter = field(default_factory=Limiter)
    strangers: Limiter = field(default_factory=Limiter)

    def refusal(self, source: Source, now: datetime) -> Problem | None:
        """Why this request of a source is one too many; a batch is one request."""
        wait = self.sources.admit(source.name, source.rate, now.timestamp()) if source.rate else None
        if source.rate is None or wait is None:
            return None
        said = f"this source may send {source.rate.per_s:g} requests a second, {source.rate.burst} at once"
        return Problem(429, "too_many_requests", said, retry_after_s=math.ceil(wait))

    def of_stranger(self, problem: Problem, scope: Scope, now: datetime) -> Problem:
        """The refusal of a request that did not prove who sent it: 429 after 20 within a minute from one address."""
        if problem.status != 401:
            return problem
        wait = self.strangers.admit(household(self._address(scope)), FAILURES, now.timestamp())
        if wait is None:
            return problem
        said = "too many requests without a valid key or signature came from your address"
        return Problem(429, "too_many_failures", said, retry_after_s=math.ceil(wait))

    def _address(self, scope: Scope) -> str:
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return client_address((scope.get("client") or ("",))[0], forwarded, self.trusted)
