"""Settings of qualify."""

from __future__ import annotations

from pydantic import Field

from services.runtime.settings import RuntimeSettings


class QualifySettings(RuntimeSettings):
    """What every service needs; the secret is required, because people are known by hashes under it."""

    secret: str = Field(min_length=1, description="Installation secret for identity hashes and tokens, 32+ characters")
