"""HubSpot's CRM API: one contact by its id, with the properties that the source names; contacts in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

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
    when,
)

URL = "https://api.hubapi.com"
PROPERTIES = (
    "email", "phone", "mobilephone", "firstname", "lastname", "company", "jobtitle", "address", "city", "state", "zip",
    "country", "message", "hs_language", "createdate", "hs_analytics_source", "hs_object_source_label",
)  # fmt: skip
"""What is asked where the source names no `properties`."""
_CALLED = {
    "firstname": "given_name", "lastname": "family_name", "jobtitle": "job_title", "hs_language": "language",
    "mobilephone": "mobile_phone",
}  # fmt: skip


def read(get: Get, base: str, token: str, notice_id: str, now: datetime, properties: tuple[str, ...] = ()) -> Answer:
    """The contact behind an id."""
    query = urlencode({"properties": ",".join(properties or PROPERTIES), "archived": "false"})
    reply = get(f"{base}/crm/v3/objects/contacts/{quote(notice_id, safe='')}?{query}", authorized(token))
    wrong = by_status(reply, now)
    if wrong is not None:
        return wrong
    body = json_object(reply)
    if body is None or not isinstance(body.get("properties"), dict):
        return Failed("the answer holds no properties")
    return Gone() if body.get("archived") is True else Found(content(body), text_of(reply))


def content(contact: Mapping[str, Any]) -> dict[str, Any]:
    """A contact's properties by their names, the usual ones under ours; what is empty is left out."""
    given = {name: value for name, value in contact["properties"].items() if value not in (None, "")}
    found = {_CALLED.get(name, name): value for name, value in given.items()}
    found["occurred_at"] = found.pop("createdate", None) or contact.get("createdAt")
    return found


def listed(
    get: Get, base: str, token: str, _scope: tuple[str, ...], since: datetime, until: datetime, now: datetime
) -> Iterator[dict[str, str] | Problem | Gone]:
    """Ids of the contacts created from `since` to before `until`. All are paged: the list knows no range of time."""
    after: str | None = None
    while True:
        query = {"limit": "100", "properties": "createdate", **({"after": after} if after else {})}
        reply = get(f"{base}/crm/v3/objects/contacts?{urlencode(query)}", authorized(token))
        wrong, body = by_status(reply, now), json_object(reply)
        if wrong is not None or body is None:
            yield wrong or Failed("the answer is no JSON object")
            return
        for contact in objects(body.get("results")):
            created = when(contact.get("createdAt"))
            if created and since <= created < until:
                yield {"notice_id": str(contact.get("id")), "occurred_at": created.isoformat()}
        before, after = after, ((body.get("paging") or {}).get("next") or {}).get("after")
        if not after or after == before:
            return
