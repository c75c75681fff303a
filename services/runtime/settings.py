"""Settings that every service shares; each service adds its own in one frozen class."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# They become parts of topic names.
_NAMES = r"^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99}\s*)?(,\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99}\s*)?)*$"


class RuntimeSettings(BaseSettings):
    """Where the parts are, and how the engine runs. Every field is read from `CAUDAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CAUDAL_", frozen=True, extra="ignore")

    kafka: str = Field(default="127.0.0.1:9092", description="Kafka bootstrap servers, host:port, comma separated")
    postgres: str = Field(default="postgresql://127.0.0.1/caudal", description="PostgreSQL DSN")
    secret: str = Field(default="", description="Installation secret for identity hashes and tokens, 32+ characters")
    partitions: int = Field(default=6, ge=1, le=512, description="Partitions of each topic when it is created")
    replication: int = Field(
        default=0, ge=0, le=32767,
        description="Copies of each topic when it is created; 0: 1 on the embedded broker, else 3 or one a broker",
    )  # fmt: skip
    destinations: str = Field(
        default="crm", pattern=_NAMES, examples=["crm,partner"],
        description="Destinations with topics of their own, comma separated")  # fmt: skip
    sources: str = Field(
        default="", pattern=_NAMES, examples=["portal,fairs"],
        description="Sources of kind `kafka`, comma separated names")  # fmt: skip
    public_url: str = Field(
        default="http://127.0.0.1:8080", examples=["https://leads.example.com"], pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$",
        description="Where people reach intake: unsubscribe links begin with it; https outside of trials")  # fmt: skip
    worker: str = Field(
        default="1", description="Name of this instance; with a supervisor it is also the static member"
    )
    health_port: int = Field(
        default=0, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0 chooses a free one"
    )
    batch: int = Field(default=500, ge=1, le=5000, description="Most records in one transaction")
    session_timeout_ms: int = Field(
        default=6000, ge=6000, le=1_800_000, description="Kafka session timeout in milliseconds"
    )
    confirm_gaps: str = Field(
        default="",
        description="Gaps and halts that an operator has confirmed, as the error names them, space separated",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )

    def destination_names(self) -> tuple[str, ...]:
        """Configured destinations."""
        return tuple(filter(None, (name.strip() for name in self.destinations.split(","))))

    def source_names(self) -> tuple[str, ...]:
        """Configured sources of kind `kafka`."""
        return tuple(filter(None, (name.strip() for name in self.sources.split(","))))
