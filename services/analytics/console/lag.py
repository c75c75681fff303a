"""How far each service is behind its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.runtime.errors import Unavailable
from services.runtime.kafka.groups import GroupLags

Lags = Callable[[], Mapping[str, int]]
"""Records not yet applied by stage; a stage that is not known is left out. May block; called from a thread."""

STAGES = ("qualify", "router", "nurture", "analytics")


def kafka_lags(servers: str) -> Lags:
    """Lags as Kafka tells them; connects at the first call, and anew after a failure."""
    groups = [f"caudal.{stage}" for stage in STAGES]
    client: list[GroupLags] = []

    def ask() -> Mapping[str, int]:
        try:
            if not client:
                client.append(GroupLags(servers))
            return {group.removeprefix("caudal."): n for group, n in client[0].records(groups).items()}
        except Unavailable:
            while client:
                client.pop().close()
            return {}

    return ask
