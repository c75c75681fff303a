"""The API's own description, made from the fields and models that the code uses."""

from __future__ import annotations

from typing import Any

from schemas.events.outcomes import OUTCOMES, OutcomeReport
from services.intake.fields import FIELDS

_ERRORS = {
    "400": "Not readable", "401": "No valid key", "403": "The key may not send this", "408": "Body too slow",
    "413": "Too large", "422": "A field is wrong; `fields` says which",
    "429": "Too often; send again after `Retry-After`", "503": "Send again after `Retry-After`",
}  # fmt: skip
_TEXT = {"type": "string"}


def _schema(required: tuple[str, ...], *others: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys((*required, *others), _TEXT), "required": list(required)}


_ACTIVITY = _schema(("activity",), "email", "phone", "subject", "occurred_at", "retracts")
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
            "/u/{token}": _unsubscribe(),
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {"Error": _schema(("code", "message"))},
        },
    }


def _post(summary: str, item: dict[str, Any], form: bool = False) -> dict[str, Any]:
    media = {"application/json": {"schema": {"oneOf": [item, {"type": "array", "items": item, "maxItems": 1000}]}}}
    if form:
        media |= {kind: {"schema": item} for kind in ("application/x-www-form-urlencoded", "multipart/form-data")}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "post": {
            "summary": summary,
            "security": [{"bearer": []}, {"header": []}],
            "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": _TEXT | {"maxLength": 255}}],
            "requestBody": {"required": True, "content": media},
            "responses": {
                "200": {"description": "Acknowledged by the broker"},
                **{status: {"description": text, "content": error} for status, text in _ERRORS.items()},
            },
        }
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
