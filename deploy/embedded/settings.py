"""What the environment says about the embedded parts."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_HOST_PORT = r"(\[[0-9A-Fa-f:]+\]|[^\s:,\[\]]+):\d{1,5}"
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
SMALLEST_HEAP, LARGEST_HEAP = "128m", "64g"


class EmbeddedSettings(BaseSettings):
    """Settings of the embedded parts, each read from `CAUDAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CAUDAL_", frozen=True, extra="ignore")

    home: Path = Field(Path(".caudal"), description="directory of the embedded parts: data, logs, ports, state")
    kafka: str | None = Field(
        None, pattern=rf"^({_HOST_PORT}(,{_HOST_PORT})*)?$", examples=["kafka.example.com:9092"],
        description="brokers of your own cluster, host:port[,host:port]; none is embedded")  # fmt: skip
    postgres: str | None = Field(
        None, examples=["postgresql://user@db.example.com/caudal"],
        description="DSN of your own PostgreSQL; none is embedded")  # fmt: skip
    kafka_port: int | None = Field(
        None, ge=1, le=65535, description="port of the embedded broker; by default a free one, then kept"
    )
    postgres_port: int | None = Field(
        None, ge=1, le=65535, description="port of the embedded PostgreSQL; by default a free one, kept"
    )
    kafka_heap: str = Field(
        "512m", pattern=r"^\d{1,9}[kmgKMG]$", examples=["512m"],
        description="heap of the embedded broker, 128m to 64g")  # fmt: skip

    @field_validator("postgres")
    @classmethod
    def _readable(cls, dsn: str | None) -> str | None:
        import psycopg2.extensions  # here: most commands name no database of their own

        try:
            psycopg2.extensions.parse_dsn(dsn or "")
        except psycopg2.Error as error:
            raise ValueError("it is no DSN") from error
        return dsn

    @field_validator("kafka_heap")
    @classmethod
    def _bounded(cls, heap: str) -> str:
        if not heap_bytes(SMALLEST_HEAP) <= heap_bytes(heap) <= heap_bytes(LARGEST_HEAP):
            raise ValueError(f"it should lie between {SMALLEST_HEAP} and {LARGEST_HEAP}")
        return heap


def heap_bytes(text: str) -> int:
    """Bytes of a heap as Java writes it: 512m."""
    return int(text[:-1]) * _UNITS[text[-1].lower()]
