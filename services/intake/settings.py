"""Intake's settings."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from services.intake.client_address import networks
from services.intake.outside import allowed
from services.runtime.settings import RuntimeSettings


class IntakeSettings(RuntimeSettings):
    """Intake: HTTP address, and how many records may wait for the broker."""

    intake_host: str = Field(default="127.0.0.1", description="Address that intake listens on")
    intake_port: int = Field(default=8080, ge=0, le=65535, description="Port that intake listens on; 0: a free one")
    intake_in_flight: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most records that wait for an acknowledgement; then 503"
    )
    intake_workers: int = Field(default=1, ge=1, le=64, description="Intake processes that share the port")
    source_secrets: str = Field(
        default="", description="JSON file with the sources' signing secrets and tokens; `caudal up` keeps one at home"
    )
    outbound_allow: str = Field(
        default="", examples=["partner.example.com,127.0.0.1:8080,10.1.0.0/16"],
        description="Hosts (host[:port]) and networks that sources' APIs may lie in beyond public addresses by https",
    )  # fmt: skip
    hydrate_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for one answer of a source's API, seconds"
    )
    hydrate_lease_s: float = Field(
        default=60.0, gt=0, le=3600, description="How long a claimed lead is ours alone to be read, seconds"
    )

    trusted_proxies: str = Field(
        default="", examples=["10.0.0.0/8,192.0.2.7"],
        description="Networks of proxies before intake whose X-Forwarded-For is believed, comma separated",
    )  # fmt: skip

    @field_validator("outbound_allow")
    @classmethod
    def _readable(cls, written: str) -> str:
        allowed(written)
        return written

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, written: str) -> str:
        networks(written)
        return written

    @model_validator(mode="after")
    def _answer_within_lease(self) -> IntakeSettings:
        if self.hydrate_timeout_s >= self.hydrate_lease_s:
            raise ValueError(
                f"hydrate_timeout_s ({self.hydrate_timeout_s:g}) must be less than hydrate_lease_s "
                f"({self.hydrate_lease_s:g}): a lead whose answer is waited for would be read by another worker too"
            )
        return self
