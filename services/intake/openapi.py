"""The API's own description, made from the fields and models that the code uses."""

from __future__ import annotations

from typing import Any

from schemas.events.outcomes import OUTCOMES, OutcomeReport
from services.intake.fields import FIELDS
from services.intake.sources.segment import CALLS, MOST_EVENTS

_ERRORS = {
    "400": "Not readable", "401": "No valid key", "403": "The key may not send this", "408": "Body too slow",
    "413": "Too large", "422": "A field is wrong; `fields` says which",
    "429": "Too often; send again after `Retry-After`", "503": "Send again after `Retry-After`",
}  # fmt: skip
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_IN = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_KEYS: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {"basic": []}]


def _schema(required: tuple[str, ...], *others: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys((*required, *others), _TEXT), "required": list(required)}


_ACTIVITY = _schema(("activity",), "email", "phone", "subject", "occurred_at", "retracts", "anonymous_id")
_RESULT = _schema(("campaign", "day"), "channel", "impressions", "clicks", "spend", "currency")
_CONSENT = _schema(("type",), "email", "phone", "channel", "purpose", "text", "reason", "occurred_at")


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Caudal intake", "version": "1", "description": "A 200 means that the broker has it."},
        "paths": {
            "/v1/leads": _post("Send one lead or a batch", _leads(), form=True),
            "/v1/activities": _post("Report what people did", _ACTIVITY),
            "/v1/consents": _post("Report consents", _CONSENT),
            "/v1/outcomes": _post("Report what became of leads", _outcomes()),
            "/v1/results": _post("Report reach and cost of campaigns", _RESULT),
            **{f"/v1/{path}": _tracked(f"{path.capitalize()} events", _batch()) for path in ("batch", "import")},
            **{f"/v1/{call}": _tracked(f"One {call} event", _event()) for call in CALLS},
            "/in/{source}": _delivery("source"),
            "/in/{source}/{key}": _delivery("source", "key"),
            "/u/{token}": _unsubscribe(),
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "The key as user, no password"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {"Error": _schema(("code", "message"))},
        },
    }


def _post(summary: str, item: dict[str, Any], form: bool = False) -> dict[str, Any]:
    media = {"application/json": {"schema": {"oneOf": [item, {"type": "array", "items": item, "maxItems": 1000}]}}}
    if form:
        media |= {kind: {"schema": item} for kind in _FORMS}
    key = {"name": "Idempotency-Key", "in": "header", "schema": _TEXT | {"maxLength": 255}}
    return {"post": {**_call(summary, media), "security": _KEYS, "parameters": [key]}}


def _tracked(summary: str, content: dict[str, Any]) -> dict[str, Any]:
    """A call of a tracking SDK; its key may also stand in the body."""
    media = {"application/json": {"schema": content}}
    return {
        "post": {**_call(f"{summary}, as Segment's and RudderStack's SDKs send them", media), "security": [*_KEYS, {}]}
    }


def _delivery(*parts: str) -> dict[str, Any]:
    """A source's own address: what its bodies look like, its preset says."""
    media: dict[str, Any] = {kind: {"schema": {"type": ["object", "array"]}} for kind in _IN}
    media |= {kind: {"schema": _OBJECT} for kind in _FORMS}
    known = {"200": {"description": "The source's handshake, or nothing: the address answers"}}
    errors = {status: answer for status, answer in _errors().items() if status not in ("408", "413", "422")}
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in parts],
        "get": {
            "summary": "Look whether the address answers; of some sources a handshake, or a lead as query string",
            "responses": {**known, "405": {"description": "No parameters here"}, **errors},
        },
        "post": {**_call("Deliver what a source sends, as it sends it", media), "security": [*_KEYS, {}]},
    }


def _call(summary: str, media: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": media},
        "responses": {"200": {"description": "Acknowledged by the broker"}, **_errors()},
    }


def _errors() -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": text, "content": error} for status, text in _ERRORS.items()}


def _event() -> dict[str, Any]:
    texts = ("type", "event", "name", "messageId", "userId", "anonymousId", "timestamp", "sentAt", "writeKey")
    fields = dict.fromkeys(texts, _TEXT) | dict.fromkeys(("properties", "traits", "context"), _OBJECT)
    return {"type": "object", "properties": fields}


def _batch() -> dict[str, Any]:
    event = _event()
    event["properties"] = event["properties"] | {"type": {"enum": list(CALLS)}}
    listed = {"type": "array", "items": event | {"required": ["type"]}, "maxItems": MOST_EVENTS}
    return {
        "type": "object",
        "properties": {"batch": listed, "sentAt": _TEXT, "writeKey": _TEXT},
        "required": ["batch"],
    }


def _leads() -> dict[str, Any]:
    fields = {name: {"description": f"also: {others}"} if others else {} for name, others in FIELDS.items()}
    return {"type": "object", "properties": fields, "additionalProperties": True}


def _outcomes() -> dict[str, Any]:
    schema = OutcomeReport.model_json_schema()
    properties = {name: value for name, value in schema["properties"].items() if name != "destination"}
    return schema | {"properties": properties | {"type": {"enum": list(OUTCOMES)}}, "required": ["lead_id", "type"]}


def _unsubscribe() -> dict[str, Any]:
    answers = {"200": {"description": "Done"}, "404": {"description": "Not a link of ours"}}
    token = [{"name": "token", "in": "path", "required": True, "schema": _TEXT}]
    return {
        "parameters": token,
        "get": {"summary": "Ask for confirmation; changes nothing", "responses": answers},
        "post": {"summary": "Unsubscribe", "responses": answers},
    }
