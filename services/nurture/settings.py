"""Settings of nurture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from services.runtime.settings import RuntimeSettings


class NurtureSettings(RuntimeSettings):
    """The mail server, and where people unsubscribe. Every field is read from `CAUDAL_<NAME>`."""

    smtp_host: str = Field(default="127.0.0.1", description="Mail server that takes mails and signs them (DKIM)")
    smtp_port: int = Field(default=1025, ge=1, le=65535, description="Port of the mail server")
    smtp_tls: Literal["none", "starttls", "tls"] = Field(default="none", description="none, starttls or tls")
    smtp_user: str = Field(default="", description="Name to log in with at the mail server; empty: no login")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Password for that login")
    smtp_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Longest wait for one answer, seconds")
    mail_batch: int = Field(default=50, ge=1, le=500, description="Most mails that one claim takes")
    mail_lease_s: float = Field(
        default=60.0, gt=0, le=3600, description="How long a claimed mail is ours alone, seconds"
    )
    mail_templates: str = Field(default="", description="Folder of your own mail templates, searched first")

    @field_validator("mail_templates")
    @classmethod
    def _is_there(cls, folder: str) -> str:
        if folder and not Path(folder).is_dir():
            raise ValueError("there is no such folder")
        return folder

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> NurtureSettings:
        if self.mail_lease_s < self.longest_call_s + 1:
            raise ValueError("CAUDAL_MAIL_LEASE_S must be more than 8 times CAUDAL_SMTP_TIMEOUT_S plus one second")
        return self

    @property
    def longest_call_s(self) -> float:
        """Longest that handing over one mail can take: connect, greeting, TLS, login, MAIL, RCPT, DATA, its answer."""
        return 8 * self.smtp_timeout_s
