"""Settings of analytics and its console."""

from __future__ import annotations

from pydantic import Field

from services.runtime.settings import RuntimeSettings


class AnalyticsSettings(RuntimeSettings):
    """What analytics reads beside the shared settings."""

    console_host: str = Field(default="127.0.0.1", description="Address that the console listens on")
    console_port: int = Field(default=8420, ge=0, le=65535, description="Port of the console; 0 chooses a free one")
    console_hosts: str = Field(
        default="localhost,127.0.0.1",
        description="Host names under which browsers may open the console, comma separated",
    )

    def console_host_names(self) -> list[str]:
        """Host names that the console answers to."""
        return [name for part in self.console_hosts.split(",") if (name := part.strip())]
