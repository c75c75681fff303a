"""Fakes of the APIs of Meta, LinkedIn and HubSpot: real HTTP on loopback, as far as hydrate uses them.

What they hold is set by the test; `script` says what the next answers about a lead are before it is given as it is.
"""

import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, dict[str, str], Any]
PAGE = 2


@dataclass
class Fake:
    """What the server holds, and what it was asked. With an `app_secret` Graph asks for its proof."""

    port: int = 0
    token: str = "good"
    app_secret: str = ""
    leads: dict[str, Any] = field(default_factory=dict)
    forms: dict[str, list[str]] = field(default_factory=dict)
    script: dict[str, list[Answer | float]] = field(default_factory=dict)
    always: Answer | None = None
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked_for(self) -> Counter[str]:
        return Counter(unquote(urlsplit(path).path.rpartition("/")[2]) for path in self.asked)

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        places = [unquote(place) for place in parts.path.split("/") if place]
        if self.always:
            return self.always
        given = headers.get("authorization", "").removeprefix("Bearer ") or query.get("access_token", "")
        if given != self.token:
            return refused(places)
        if self.app_secret and query.get("appsecret_proof") != proof(self.token, self.app_secret):
            return graph_error(100, message="(#100) Invalid appsecret_proof provided in the API argument")
        scripted = self.script.get(places[-1])
        while scripted:
            said = scripted.pop(0)
            if isinstance(said, tuple):
                return said
            time.sleep(said)
        return self._good(places, query)

    def _good(self, places: list[str], query: dict[str, str]) -> Answer:
        match places:
            case ["crm", "v3", "objects", "contacts"]:
                return self._contacts(query)
            case ["crm", "v3", "objects", "contacts", own]:
                wanted = query["properties"].split(",")
                found = self.leads.get(own)
                if found is None:
                    return 404, {}, {"status": "error", "category": "OBJECT_NOT_FOUND"}
                kept = {name: found.get("properties", {}).get(name) for name in wanted}
                return 200, {}, {**found, "properties": kept}
            case ["rest", "leadFormResponses"]:
                return self._responses(query)
            case ["rest", "leadFormResponses", own]:
                return (200, {}, self.leads[own]) if own in self.leads else (404, {}, {"status": 404})
            case [*_, "leadgen_forms"]:
                return self._edge([{"id": form} for form in self.forms], query)
            case [*_, form, "leads"]:
                after = json.loads(query.get("filtering", "[]"))
                assert all(f["field"] == "time_created" for f in after)
                return self._edge([self.leads[own] for own in self.forms[form]], query)
            case [*_, own]:
                return (200, {}, self.leads[own]) if own in self.leads else unreadable()
        return 404, {}, {}

    def _edge(self, found: list[Any], query: dict[str, str]) -> Answer:
        start = int(query.get("after", "0"))
        page, end = found[start : start + PAGE], start + PAGE
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(end)}}
        if end < len(found):
            paging["next"] = "https://elsewhere.example.com/must-not-be-followed"
        fields = query.get("fields", "id").split(",")
        return 200, {}, {"data": [{n: v for n, v in one.items() if n in fields} for one in page], "paging": paging}

    def _contacts(self, query: dict[str, str]) -> Answer:
        start = int(query.get("after", "0"))
        found = [{"id": own, "createdAt": lead["createdAt"]} for own, lead in self.leads.items()]
        more = {"paging": {"next": {"after": str(start + PAGE)}}} if start + PAGE < len(found) else {}
        return 200, {}, {"results": found[start : start + PAGE], **more}

    def _responses(self, query: dict[str, str]) -> Answer:
        start, count = int(query["start"]), int(query["count"])
        found = [{"id": own, "submittedAt": lead["submittedAt"]} for own, lead in self.leads.items()]
        return 200, {}, {"elements": found[start : start + count], "paging": {"start": start, "count": count}}


def refused(places: list[str]) -> Answer:
    """What each says to a token that is not valid."""
    if places[:1] in (["crm"], ["rest"]):
        return 401, {}, {"status": "error" if places[0] == "crm" else 401}
    return graph_error(190, 463, status=401)


def proof(token: str, app_secret: str) -> str:
    return hmac.new(app_secret.encode(), token.encode(), "sha256").hexdigest()


def unreadable() -> Answer:
    return graph_error(100, 33)


def graph_error(
    code: int, subcode: int = 0, *, status: int = 400, headers: dict[str, str] | None = None,
    message: str = "(#0) said in words",
) -> Answer:  # fmt: skip
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "x"}
    return status, headers or {}, {"error": error | ({"error_subcode": subcode} if subcode else {})}


def graph_lead(own: str, email: str, created: str = "2026-11-02T08:49:14+0000", **more: Any) -> dict[str, Any]:
    """A lead as Graph gives it."""
    fields = [{"name": "email", "values": [email]}, {"name": "full_name", "values": ["Ana Ejemplo"]}]
    return {
        "id": own, "created_time": created, "form_id": "1616", "ad_id": "77", "campaign_name": "spring",
        "is_organic": False, "platform": "ig", "field_data": fields, **more,
    }  # fmt: skip


def linkedin_lead(own: str, email: str) -> dict[str, Any]:
    """A response as LinkedIn gives it, with its form."""
    questions = [
        {"questionId": 1, "predefinedField": "EMAIL"},
        {"questionId": 2, "predefinedField": "FIRST_NAME"},
        {"questionId": 3, "name": "Budget?", "questionDetails": {"multipleChoiceQuestionDetails": {
            "options": [{"id": 1, "text": {"localized": {"en_US": "Under 1000"}}}, {"id": 2, "text": "More"}]}}},
    ]  # fmt: skip
    answers = [
        {"questionId": 1, "answerDetails": {"textQuestionAnswer": {"answer": email}}},
        {"questionId": 2, "answerDetails": {"textQuestionAnswer": {"answer": "Luis"}}},
        {"questionId": 3, "answerDetails": {"multipleChoiceAnswer": {"options": [1]}}},
    ]
    return {
        "id": own, "leadType": "SPONSORED", "submittedAt": 1_793_700_000_000, "testLead": False,
        "versionedLeadGenFormUrn": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:3162,1)",
        "formResponse": {"answers": answers, "consentResponses": [{"consentId": 9, "accepted": True}]},
        "form": {"id": 3162, "name": "Heat pumps", "content": {"questions": questions},
                 "hiddenFields": [{"name": "utm_campaign", "value": "autumn"}]},
    }  # fmt: skip


def hubspot_contact(own: str, email: str, **properties: str) -> dict[str, Any]:
    """A contact as HubSpot gives it."""
    given = {"email": email, "firstname": "Marta", "createdate": "2026-11-03T10:00:00.000Z", **properties}
    return {"id": own, "properties": given, "createdAt": "2026-11-03T10:00:00.000Z", "archived": False}


@contextmanager
def fake_apis(**held: Any) -> Iterator[Fake]:
    """The server, for the time of the block."""
    fake = Fake(**held)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            fake.asked.append(self.path)
            fake.headers.append(headers)
            status, more, body = fake.answer(self.path, headers)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(content)),
                **more,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
