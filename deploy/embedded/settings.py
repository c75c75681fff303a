"""What the environment says about the embedded parts."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EmbeddedSettings(BaseSettings):
    """Settings of the embedded parts, each read from `CAUDAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CAUDAL_", frozen=True, extra="ignore")

    home: Path = Field(Path(".caudal"), description="directory of the embedded parts: data, logs, ports, state")
    kafka: str | None = Field(None, description="brokers of your own cluster, host:port[,host:port]; none is embedded")
    postgres: str | None = Field(None, description="DSN of your own PostgreSQL; none is embedded")
    kafka_port: int | None = Field(None, description="port of the embedded broker; by default a free one, then kept")
    postgres_port: int | None = Field(None, description="port of the embedded PostgreSQL; by default a free one, kept")
    kafka_heap: str = Field("512m", pattern=r"^\d+[kmgKMG]$", description="heap of the embedded broker")
