"""Meta's Graph API: a lead by its `leadgen_id`, and a form's leads in bulk.

The token goes in a header, never in the URL. Codes of errors as in Meta's documents; most come with status 400. An app
may ask for a proof that whoever has the token has its secret, too: `appsecret_proof`, which is the same for all calls.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from services.intake.hydrate.answer import (
    LONGEST_WAIT_S,
    Answer,
    Denied,
    Down,
    Failed,
    Found,
    Get,
    Gone,
    Limited,
    NotFound,
    Problem,
    Reply,
    authorized,
    by_status,
    json_object,
    objects,
    text_of,
    when,
)

URL = "https://graph.facebook.com/v26.0"
_FIELDS = (
    "id,created_time,ad_id,ad_name,adset_id,adset_name,campaign_id,campaign_name,form_id,is_organic,platform,"
    "partner_name,custom_disclaimer_responses,field_data"
)
_TOKEN = frozenset({102, 190})
_PERMISSION = frozenset({3, 10, *range(200, 300)})
_RATE = frozenset({4, 17, 32, 613, *range(80000, 80015)})
_THEIRS = frozenset({1, 2})
_USAGE = "x-business-use-case-usage"
_TEST = "<test lead:"


def proving(get: Get, token: str, app_secret: str) -> Get:
    """The same, with the proof that Meta's documents describe: HMAC-SHA256 of the token, keyed by the app's secret."""
    proof = hmac.new(app_secret.encode(), token.encode(), "sha256").hexdigest()
    return lambda url, headers: get(f"{url}&appsecret_proof={proof}", headers)


def read(get: Get, base: str, token: str, notice_id: str, now: datetime) -> Answer:
    """The lead behind an id."""
    reply = get(f"{base}/{quote(notice_id, safe='')}?fields={_FIELDS}", authorized(token))
    wrong = problem(reply, now)
    if wrong is not None:
        return wrong
    body = json_object(reply)
    if body is None or not isinstance(body.get("field_data"), list):
        return Failed("the answer holds no field_data")
    return Found(content(body), text_of(reply))


def content(lead: Mapping[str, Any]) -> dict[str, Any]:
    """A lead as names and values: answers first, then what Meta says of it; ticked disclaimers as evidence."""
    found: dict[str, Any] = {}
    for field in objects(lead.get("field_data")):
        values = field.get("values")
        if isinstance(values, list) and values:
            found[str(field.get("name"))] = values[0] if len(values) == 1 else ", ".join(map(str, values))
    for box in objects(lead.get("custom_disclaimer_responses")):
        found[f"disclaimer.{box.get('checkbox_key')}"] = box.get("is_checked")
    if any(isinstance(value, str) and value.startswith(_TEST) for value in found.values()):
        found["is_test"] = True
    about = {name: value for name, value in lead.items() if name not in ("field_data", "custom_disclaimer_responses")}
    return about | found


def listed(
    get: Get, base: str, token: str, forms: tuple[str, ...], since: datetime, until: datetime, now: datetime
) -> Iterator[dict[str, str] | Problem | Gone]:
    """Ids of the leads of these forms, or of all of the page, created from `since` to before `until`."""
    for form in forms or _forms(get, base, token, now):
        if not isinstance(form, str):
            yield form
            return
        later = {"field": "time_created", "operator": "GREATER_THAN", "value": int(since.timestamp()) - 1}
        asked = {"fields": "id,created_time,form_id", "filtering": json.dumps([later])}
        for lead in _pages(get, f"{base}/{quote(form, safe='')}/leads", token, asked, now):
            if not isinstance(lead, dict):
                yield lead
                return
            created = when(lead.get("created_time"))
            if created and since <= created < until:
                yield {"notice_id": str(lead.get("id")), "form_id": form, "occurred_at": created.isoformat()}


def _forms(get: Get, base: str, token: str, now: datetime) -> Iterator[str | Problem | Gone]:
    for form in _pages(get, f"{base}/me/leadgen_forms", token, {"fields": "id"}, now):
        yield str(form.get("id")) if isinstance(form, dict) else form


def _pages(
    get: Get, url: str, token: str, asked: Mapping[str, str], now: datetime
) -> Iterator[dict[str, Any] | Problem | Gone]:
    """Every object of a list, page after page; what is wrong ends it. Their `next` is a URL with the token: unused."""
    after: str | None = None
    while True:
        query = {**asked, "limit": "100", **({"after": after} if after else {})}
        reply = get(f"{url}?{urlencode(query)}", authorized(token))
        wrong, body = problem(reply, now), json_object(reply)
        if wrong is not None or body is None:
            yield wrong or Failed("the answer is no JSON object")
            return
        yield from objects(body.get("data"))
        paging = body.get("paging") or {}
        before, after = after, (paging.get("cursors") or {}).get("after") if paging.get("next") else None
        if not after or after == before:
            return


def problem(reply: Reply, now: datetime) -> Problem | Gone | None:
    """What is wrong with an answer, by Meta's code first, by its status else; None for a good one."""
    body = json_object(reply) or {}
    error = body.get("error")
    if not isinstance(error, dict):
        return by_status(reply, now)
    code, subcode = error.get("code"), error.get("error_subcode")
    detail = f"Graph error {code}" + (f", subcode {subcode}" if subcode else "")
    if code in _TOKEN or code in _PERMISSION:
        return Denied(detail)
    if code == 100 and "appsecret_proof" in str(error.get("message")):
        return Denied(f"{detail}: appsecret_proof; the source's `secret` must be that of the token's app")
    if code in _RATE or reply.status == 429:
        said = by_status(reply, now)
        after = said.after_s if isinstance(said, Limited) else None
        return Limited(after if after is not None else _regain_s(reply), detail)
    if (code, subcode) == (100, 33):
        return NotFound(detail)
    if code in _THEIRS or error.get("is_transient") is True or reply.status >= 500:
        return Down(detail)
    return Failed(detail)


def _regain_s(reply: Reply) -> float | None:
    """Longest wait, in seconds, that the header about our usage names; it counts minutes."""
    try:
        usage = json.loads(reply.headers.get(_USAGE, ""))
        waits = [float(one["estimated_time_to_regain_access"]) for of_page in usage.values() for one in of_page]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return min(60 * max(waits), LONGEST_WAIT_S) if waits else None
