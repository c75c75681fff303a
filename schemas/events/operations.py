"""Operations: rule books, alerts, campaign results, dead letters."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field, WithJsonSchema

from schemas.events.event import Event, Part

HEADER_PAIRS = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
}
"""Said without `prefixItems`, which validators of older drafts pass over."""


class RulesPublished(Event):
    """One version of a rule book, whole: `body` is the YAML as written, `book_version` its digest-based name."""

    types: ClassVar[tuple[str, ...]] = ("rules.published",)

    book: str
    book_version: str
    body: str
    author: str
    note: str | None = None


class RulesActivated(Event):
    """From here on, decisions use this version of the book."""

    types: ClassVar[tuple[str, ...]] = ("rules.activated",)

    book: str
    book_version: str
    author: str
    note: str | None = None


class Alert(Event):
    """Something a person should look at, raised or cleared. `alert` is stable for one problem."""

    types: ClassVar[tuple[str, ...]] = ("alert.raised", "alert.cleared")

    alert: str
    kind: str
    severity: str = "warning"
    service: str
    text: str
    lead_id: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class CampaignResult(Event):
    """Reach and cost of one campaign on one channel on one day (money in `currency`, two decimals)."""

    types: ClassVar[tuple[str, ...]] = ("campaign.result",)

    source: str
    campaign: str
    channel: str
    day: str
    impressions: int = 0
    clicks: int = 0
    spend: float = 0.0
    currency: str = "EUR"


class DeadLetter(Part):
    """A record that no handler could take, as it came. `raw_*` and header values are base64.

    `sha256` is over key and value; `truncated` keeps only the first 64 kB of each.
    """

    types: ClassVar[tuple[str, ...]] = ("deadletter.recorded",)

    service: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    event_id: str | None = None
    event_type: str | None = None
    attempt: int = 1
    recorded_at: AwareDatetime
    raw_key: str | None = None
    raw_value: str | None = None
    headers: Annotated[tuple[tuple[str, str], ...], WithJsonSchema(HEADER_PAIRS)] = ()
    sha256: str
    truncated: bool = False
