"""LinkedIn's Lead Sync API: one form response by its URN, with its form; an owner's responses in bulk.

Shapes as in LinkedIn's documents; no real account was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from services.intake.hydrate.answer import (
    Answer,
    Failed,
    Found,
    Get,
    Gone,
    Problem,
    authorized,
    by_status,
    json_object,
    objects,
    text_of,
)

URL = "https://api.linkedin.com"
VERSION = "202606"
URN = "urn:li:leadGenFormResponse:"
_FIELDS = (
    "id,leadType,owner,submittedAt,testLead,versionedLeadGenFormUrn,leadMetadataInfo,associatedEntityInfo,"
    "formResponse,form:(id,name,creationLocale,hiddenFields,content)"
)
_PAGE = 100


def read(get: Get, base: str, token: str, notice_id: str, now: datetime) -> Answer:
    """The lead behind a URN, or behind the id at its end."""
    own = quote(notice_id.rpartition(":")[2], safe="")
    reply = get(f"{base}/rest/leadFormResponses/{own}?fields={quote(_FIELDS, safe=',:()')}", _headers(token))
    wrong = by_status(reply, now)
    if wrong is not None:
        return wrong
    body = json_object(reply)
    if body is None or not isinstance(body.get("formResponse"), dict):
        return Failed("the answer holds no formResponse")
    return Found(content(body), text_of(reply))


def content(lead: Mapping[str, Any]) -> dict[str, Any]:
    """A response as names and values: the name of an answer is its predefined field, else its question."""
    form = lead.get("form") if isinstance(lead.get("form"), dict) else {}
    inner = form.get("content") if isinstance(form, dict) and isinstance(form.get("content"), dict) else {}
    questions = {q.get("questionId"): q for q in objects((inner or {}).get("questions"))}
    response = lead["formResponse"]
    found: dict[str, Any] = {}
    for answer in objects(response.get("answers")):
        question = questions.get(answer.get("questionId"), {})
        found[_name(answer, question)] = _value(answer.get("answerDetails"), question)
    for consent in objects(response.get("consentResponses")):
        found[f"consent.{consent.get('consentId')}"] = consent.get("accepted")
    for hidden in objects((form or {}).get("hiddenFields")):
        found.setdefault(str(hidden.get("name")), hidden.get("value"))
    about = {"created_time": lead.get("submittedAt"), "lead_type": lead.get("leadType"), "form": _plain(form, "name")}
    return about | {"form_urn": lead.get("versionedLeadGenFormUrn"), "is_test": lead.get("testLead")} | found


def listed(
    get: Get, base: str, token: str, owners: tuple[str, ...], since: datetime, until: datetime, now: datetime
) -> Iterator[dict[str, str] | Problem | Gone]:
    """URNs of the responses that these accounts (`urn:li:sponsoredAccount:1`) got from `since` to before `until`."""
    span = f"(start:{int(since.timestamp() * 1000)},end:{int(until.timestamp() * 1000)})"
    for owner in owners:
        kind = owner.split(":")[2] if owner.count(":") > 2 else "sponsoredAccount"
        query = f"q=owner&owner=({kind}:{quote(owner, safe='')})&leadType=(leadType:SPONSORED)"
        start: int | None = 0
        while start is not None:
            page = f"&submittedAtTimeRange={span}&fields=id,submittedAt&count={_PAGE}&start={start}"
            reply = get(f"{base}/rest/leadFormResponses?{query}{page}", _headers(token))
            wrong, body = by_status(reply, now), json_object(reply)
            if wrong is not None or body is None:
                yield wrong or Failed("the answer is no JSON object")
                return
            found = objects(body.get("elements"))
            yield from map(_told, found)
            start = start + _PAGE if len(found) == _PAGE else None


def _told(lead: Mapping[str, Any]) -> dict[str, str]:
    urn = URN + str(lead.get("id")).rpartition(":")[2]
    at = lead.get("submittedAt")
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat() if isinstance(at, int) else ""
    return {"notice_id": urn, "occurred_at": when}


def _name(answer: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    predefined = question.get("predefinedField")
    if isinstance(predefined, str):
        return predefined.lower()
    named = answer.get("name") or question.get("name") or _plain(question, "question")
    return str(named or f"question {answer.get('questionId')}")


def _value(details: Any, question: Mapping[str, Any]) -> Any:
    """The text, or the texts of the chosen options."""
    if not isinstance(details, dict):
        return None
    if isinstance(text := details.get("textQuestionAnswer"), dict):
        return text.get("answer")
    if isinstance(chosen := details.get("multipleChoiceAnswer"), dict) and isinstance(chosen.get("options"), list):
        return ", ".join(_options(question).get(option, str(option)) for option in chosen["options"])
    return None


def _options(question: Mapping[str, Any]) -> dict[Any, str]:
    details = question.get("questionDetails")
    multiple = details.get("multipleChoiceQuestionDetails") if isinstance(details, dict) else None
    options = objects(multiple.get("options")) if isinstance(multiple, dict) else []
    return {o.get("id"): str(_plain(o, "text") or o.get("id")) for o in options}


def _plain(holder: Any, name: str) -> str | None:
    """A text, also where it stands by language."""
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, dict) and isinstance(value.get("localized"), dict):
        value = next(iter(value["localized"].values()), None)
    return value if isinstance(value, str) else None


def _headers(token: str) -> dict[str, str]:
    return authorized(token) | {"linkedin-version": VERSION, "x-restli-protocol-version": "2.0.0"}
