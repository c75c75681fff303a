"""The messages of the contract: one for each event type and the model that carries it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.events.outcomes import OutcomeReport
from schemas.topics import Topic, all_topics, destination_leads, destination_outcomes, source_topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_VERSION = "v1"
TEMPLATES: tuple[Topic, ...] = (source_topic("{source}"), destination_leads("{destination}"),
                                destination_outcomes("{destination}"))  # fmt: skip
TOPICS: tuple[Topic, ...] = (*all_topics(), *TEMPLATES)
"""Every topic, those of sources and destinations with the parameter left open."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event type with its model. `name` tells a CRM's unjudged report from the outcome of the same type."""

    name: str
    event_type: str
    model: type[BaseModel]

    @property
    def reported(self) -> bool:
        """Whether others write it, as they see it."""
        return self.model is OutcomeReport


class WithoutFieldTitles(GenerateJsonSchema):
    """Titles that repeat the field's name only make the files longer."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave titles to models."""
        return False


def messages_of(topic: Topic) -> Iterator[Message]:
    """The messages that a topic carries, in the order in which its models declare them."""
    for event_type, model in topic.events.items():
        name = f"{event_type}.report" if model is OutcomeReport else event_type
        yield Message(name, event_type, model)


def all_messages() -> dict[str, Message]:
    """Every message of the contract by name, sorted."""
    found = {message.name: message for topic in TOPICS for message in messages_of(topic)}
    return dict(sorted(found.items()))


def json_schema(message: Message) -> dict[str, Any]:
    """JSON Schema of one message's data.

    In validation mode, since it says what a reader may rely on: a field with a default may be absent. Models are open,
    so unknown fields pass.
    """
    body = message.model.model_json_schema(mode="validation", schema_generator=WithoutFieldTitles)
    identity = {"$schema": DIALECT, "$id": f"urn:caudal:{message.name}:{SCHEMA_VERSION}"}
    return identity | body | {"title": message.name}


def component_schemas() -> dict[str, Any]:
    """The schemas of all models by model name, referring to each other as AsyncAPI components."""
    models = sorted({message.model for message in all_messages().values()}, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template="#/components/schemas/{model}",
        schema_generator=WithoutFieldTitles,
    )
    found: dict[str, Any] = definitions["$defs"]
    return dict(sorted(found.items()))
