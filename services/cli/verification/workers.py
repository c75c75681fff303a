"""The services whose work is verified, built as their processes build them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from schemas.topics import LEADS_QUALIFIED, Topic, all_topics
from services.analytics import service as analytics
from services.analytics.settings import AnalyticsSettings
from services.cli.installation import Installation, installation_secret
from services.intake import service as intake
from services.intake.settings import IntakeSettings
from services.nurture import service as nurture
from services.nurture.settings import NurtureSettings
from services.qualify import service as qualify
from services.qualify.settings import QualifySettings
from services.router import service as router
from services.router.settings import RouterSettings
from services.runtime.postgres import connect, load_queries, select, transaction
from services.runtime.service import Service
from services.runtime.settings import RuntimeSettings

SQL = load_queries("services.cli.verification", "tables.sql")


def workers(here: Installation) -> tuple[Service, ...]:
    """Every service that reads the log here; intake's worker where it has ever run. Raises psycopg2 errors."""
    where = {"kafka": here.kafka, "postgres": here.postgres, "secret": installation_secret(here.home)}
    services = (
        qualify.build(QualifySettings.model_validate(where)),
        router.build(RouterSettings.model_validate(where)),
        nurture.build(NurtureSettings.model_validate(where)),
        analytics.build(AnalyticsSettings.model_validate(where)),
    )
    reading = intake.build(IntakeSettings.model_validate(where))
    return (*services, reading) if _has_tables(here.postgres, reading) else services


def _has_tables(dsn: str, service: Service) -> bool:
    with closing(connect(dsn, service.name, "caudal-verify", limits=False)) as session, transaction(session) as cursor:
        return bool(select(cursor, SQL["has_tables"])[0][0])


def group(service: Service) -> str:
    """Consumer group of a service."""
    return f"caudal.{service.name}"


def topics() -> tuple[Topic, ...]:
    """All topics of this installation."""
    settings = RuntimeSettings()
    return tuple(all_topics(settings.source_names(), settings.destination_names()))


def told_by(services: Sequence[Service], catalogue: Sequence[Topic]) -> list[str]:
    """Topics on which these services tell what they decided."""
    names = {service.name for service in services} - {"intake"}
    return [topic.name for topic in catalogue if names.intersection(topic.writers)]


def carrying_state(services: Sequence[Service]) -> list[str]:
    """Topics whose events carry a state with its version."""
    return [LEADS_QUALIFIED.name, *(topic for service in services for topic in service.published)]
