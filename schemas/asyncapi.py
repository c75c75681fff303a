"""The contract as one AsyncAPI 3.0.0 document with Kafka bindings 0.5.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.messages import TOPICS, Message, all_messages, component_schemas, messages_of
from schemas.topics import DEADLETTERS, Topic

CONTRACT_VERSION = "0.1.0"
BINDING_VERSION = "0.5.0"
LISTS = frozenset({"cleanup.policy"})
WORDS = frozenset({"message.timestamp.type"})

Json = dict[str, Any]

PARAMETERS: Mapping[str, str] = {
    "source": "Name of a configured source of kind `kafka`: lower case letters, digits, hyphens.",
    "destination": "Name of a configured destination: lower case letters, digits, hyphens.",
}


def document(examples: Mapping[str, Sequence[Json]]) -> Json:
    """The whole document. `examples` are the golden data of each message, by message name."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Caudal",
            "version": CONTRACT_VERSION,
            "description": (
                "CloudEvents 1.0 in Kafka binary mode: the record's value is the data as JSON, the attributes are"
                " headers. Models are open and words that list their values are not closed: ignore fields and treat"
                " values that you do not know as the field's description says. On a compacted topic a record without"
                " a value (tombstone) means that the key is no longer yours."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: channel(topic) for topic in TOPICS},
        "operations": {name: body for topic in TOPICS for name, body in operations(topic)},
        "components": {
            "messages": {name: component_message(m, examples.get(name, ())) for name, m in all_messages().items()},
            "schemas": component_schemas(),
        },
    }


def channel(topic: Topic) -> Json:
    """One topic, or one template of topics, with its settings and messages."""
    keeps = "for ever" if topic.retention_days is None else f"{topic.retention_days} days"
    what = "the newest record per key" if topic.compacted else "every record"
    body: Json = {
        "address": topic.name,
        "description": (
            f"Keyed by {topic.key}. Keeps {what} {keeps}. Written by {', '.join(topic.writers)};"
            f" read by {', '.join(topic.readers)}."
        ),
        "messages": {m.name: {"$ref": f"#/components/messages/{m.name}"} for m in messages_of(topic)},
        "bindings": {
            "kafka": {"topicConfiguration": topic_configuration(topic), "bindingVersion": BINDING_VERSION}
            | ({"partitions": 1} if topic.single_partition else {})
        },
        "x-key": topic.key,
        "x-writers": list(topic.writers),
        "x-readers": list(topic.readers),
    }
    if topic is not DEADLETTERS:
        body["x-dead-letters"] = DEADLETTERS.name
    parameters = {name: {"description": text} for name, text in PARAMETERS.items() if f"{{{name}}}" in topic.name}
    return body | ({"parameters": parameters} if parameters else {})


def topic_configuration(topic: Topic) -> Json:
    """Kafka's settings of the topic, typed as the binding wants them."""
    return {name: typed(name, value) for name, value in topic.config().items()}


def typed(name: str, value: str) -> str | int | list[str]:
    """One setting: policies are a list, words stay words, all others are numbers."""
    if name in LISTS:
        return value.split(",")
    return value if name in WORDS else int(value)


def operations(topic: Topic) -> list[tuple[str, Json]]:
    """What each party does with a topic, from its own view: writers send, readers receive."""
    sends = [(writer, "send") for writer in dict.fromkeys(topic.writers)]
    receives = [(reader, "receive") for reader in dict.fromkeys(topic.readers)]
    return [operation(topic, party, action) for party, action in sends + receives]


def operation(topic: Topic, party: str, action: str) -> tuple[str, Json]:
    """One party sending to, or receiving from, one topic."""
    pointer = topic.name.replace("{", "%7B").replace("}", "%7D")
    name = f"{party.replace(' ', '-').strip('{}')}.{action}.{topic.name.replace('{', '').replace('}', '')}"
    return name, {
        "action": action,
        "channel": {"$ref": f"#/channels/{pointer}"},
        "summary": f"{party} {'writes' if action == 'send' else 'reads'} {topic.name}",
        "tags": [{"name": party}],
    }


def component_message(message: Message, examples: Sequence[Json]) -> Json:
    """One message: headers, key, reference to its payload, examples."""
    body: Json = {
        "name": message.event_type,
        "title": message.name,
        "contentType": "application/json",
        "headers": headers(message),
        "payload": {"$ref": f"#/components/schemas/{message.model.__name__}"},
        "bindings": {"kafka": {"key": key(message), "bindingVersion": BINDING_VERSION}},
    }
    if examples:
        body["examples"] = [{"name": f"{message.name} {n}", "payload": data} for n, data in enumerate(examples, 1)]
    return body


def headers(message: Message) -> Json:
    """The CloudEvents attributes that we always write, and the trace context that is written when sampled.

    A CRM's report may come without any: its type is then the field `type` of its data.
    """
    always = {} if message.reported else {"required": ["ce_id", "ce_source", "ce_specversion", "ce_type"]}
    return always | {
        "type": "object",
        "properties": {
            "ce_id": {"type": "string", "description": "The event's id. Take each id once."},
            "ce_source": {"type": "string", "description": "Who wrote the event."},
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_type": {"type": "string", "const": message.event_type},
            "content-type": {"type": "string", "description": "`application/json`, the default."},
            "traceparent": {"type": "string", "description": "W3C trace context, present when sampled."},
        },
    }


def key(message: Message) -> Json:
    """What the record's key is, on each topic that carries the message."""
    keys = dict.fromkeys(topic.key for topic in TOPICS if message in messages_of(topic))
    return {"type": "string", "description": "; ".join(keys)}
