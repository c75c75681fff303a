"""Pages and fragments from templates. Whatever comes from outside is escaped: lead fields are hostile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.analytics.console import shapes
from services.analytics.console.details import details
from services.analytics.console.live import FUNNEL_DAYS, STAGES
from services.analytics.console.words import Tongue
from services.analytics.reports import render
from services.analytics.timeline import as_reported

END_STATES = ("opened", "attached", "interest", "disqualified", "test", "dead", "on_the_way")
STAGE_OF_TOPIC = {
    "leads.received.v1": "intake", "leads.qualified.v1": "qualify", "leads.assigned.v1": "router",
    "leads.outcomes.v1": "router", "leads.touches.v1": "nurture", "leads.activities.v1": "qualify",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pages:
    """The templates, loaded once."""

    environment: Environment

    def page(self, template: str, tongue: Tongue, path: str, **values: Any) -> str:
        """A whole page; `path` is where it lives, for the switch of language."""
        return self._render(f"{template}.html", tongue, path=path, **values)

    def fragment(self, name: str, tongue: Tongue, **values: Any) -> str:
        """A part of a page that is replaced while it is open."""
        return self._render(f"_{name}.html", tongue, **values)

    def _render(self, template: str, tongue: Tongue, **values: Any) -> str:
        return self.environment.get_template(template).render(tongue=tongue, t=tongue.t, **values)


def load_pages() -> Pages:
    """The console's templates with what they all use."""
    environment = Environment(
        loader=PackageLoader("services.analytics.console"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {
        "stages": tuple(STAGES), "end_states": END_STATES, "stage_of": STAGE_OF_TOPIC, "shapes": shapes,
        "funnel_days": FUNNEL_DAYS, "columns": render.columns, "is_figure": render.is_figure,
        "details": details, "as_reported": as_reported,
    }  # fmt: skip
    environment.filters["pretty"] = lambda data: json.dumps(data, indent=2, ensure_ascii=False)
    return Pages(environment)
