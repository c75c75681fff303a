"""Settings of the router."""

from __future__ import annotations

from services.runtime.settings import RuntimeSettings


class RouterSettings(RuntimeSettings):
    """What every service has; `destinations` names the CRMs whose outcome topics the router judges."""
