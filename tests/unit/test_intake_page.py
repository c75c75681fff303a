"""The page of a source tells its sender all that it needs, in its language, and no secret."""

import json
import re
from html import unescape

import pytest
from httpx import Response

from services.intake.fields import FIELDS
from services.intake.rules import SourceRules
from services.intake.sources.page import ERRORS, copy, html
from services.intake.sources.presets import presets
from services.intake.sources.source import Scheme, Source
from tests.unit.test_intake_deliver import DIGEST, KEY, KEYS, PREFIX, Desk
from tests.unit.test_intake_presets import CASES

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LISTED = re.compile(r'<td><code>(\w+)</code></td><td class="names">')


def source(**entry: object) -> Source:
    return SourceRules.model_validate({"sources": {"shop": entry}}).sources["shop"]


def shape(content: object) -> object:
    return {name: shape(inner) for name, inner in content.items()} if isinstance(content, dict) else type(content)


def test_both_languages_say_the_same_things() -> None:
    assert shape(copy()["en"]) == shape(copy()["es"])
    assert copy()["en"]["errors"].keys() == {code for _, codes in ERRORS for code in codes.split()}
    assert copy()["en"]["by_signature"].keys() == set(Scheme.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("preset", presets())
def test_each_preset_has_its_page(preset: str, language: str) -> None:
    entry = CASES[preset].extra if preset in CASES else {}
    text = html(source(preset=preset, **entry), "https://leads.example.com/in/shop", language)
    assert f'<html lang="{language}">' in text
    assert "https://leads.example.com/in/shop" in text
    assert (copy()[language]["unverified"] in text) is not presets()[preset].verified
    assert "`" not in text


def test_a_browser_gets_the_page_in_its_language_and_a_program_nothing() -> None:
    desk = Desk({"shop": {"keys": KEYS}})
    for accepted, title in (
        ("es-ES,es;q=0.9", "Enviar leads a «shop»"),
        ("fr,en;q=0.5", "Send leads to “shop”"),
        ("", "Send leads"),
    ):
        answer = desk.call("GET", "/in/shop", headers={**BROWSER, "accept-language": accepted})
        assert (answer.status_code, title in answer.text) == (200, True)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert desk.call("GET", "/in/shop").content == b""


def test_the_page_shows_no_key_and_no_secret_even_where_the_browser_has_the_key_in_its_address() -> None:
    desk = Desk({"shop": {"keys": KEYS}, "ads": {"preset": "google-ads"}}, {"ads": ["s3cr3t"]})
    for path in (f"/in/shop/{KEY}", "/in/shop", "/in/ads"):
        text = desk.call("GET", path, headers=BROWSER).text
        assert "http://intake.example.com/in/" in text
        assert not any(hidden in text for hidden in (KEY, PREFIX, DIGEST, "s3cr3t"))


def test_a_handshake_comes_before_the_page() -> None:
    desk = Desk({"meta": {"preset": "meta"}}, {"meta/verify": ["token"]})
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "token"}
    assert desk.call("GET", "/in/meta", params=asked, headers=BROWSER).text == "1158201444"


def test_the_page_shows_the_sources_own_names_what_it_requires_and_its_limits() -> None:
    entry = {"fields": {"Móvil <b>": "phone"}, "required": ["email|phone", "city"], "rate": {"per_s": 2.5}}
    text = html(source(**entry, id_field="ref", test_field="prueba"), "https://x.test/in/shop", "en")
    assert "Móvil &lt;b&gt;</b>, tel, telephone" in text
    assert "<code>email</code> or <code>phone</code>" in text
    assert "At most 2.5 requests a second on average, 100 at once." in text
    assert "with the same ref is taken once" in text
    assert "Set prueba to true." in text


def test_a_source_without_signature_is_told_nothing_of_signatures_and_the_reverse() -> None:
    keyed, signed = (html(source(**entry), "x", "en") for entry in ({}, {"preset": "typeform"}))
    assert ("<code>unauthorized" in keyed, "<code>bad_signature" in keyed) == (True, False)
    assert ("<code>unauthorized" in signed, "<code>bad_signature" in signed) == (False, True)


def test_by_contract_only_the_fields_that_are_kept_stand_there() -> None:
    text = html(source(allowed=["email", "city"]), "https://x.test/in/shop", "en")
    assert set(LISTED.findall(text)) == {"email", "city"}
    assert set(LISTED.findall(html(source(), "https://x.test/in/shop", "es"))) == FIELDS.keys()


@pytest.mark.parametrize(("preset", "parts"), [
    ("generic-form", ["curl 'https://x.test/in/shop'", "X-API-Key: YOUR-KEY", "--data-urlencode 'nombre=Ana Soto'"]),
    ("query-string", ["--get", "--data-urlencode 'roof_type=flat'"]),
    ("google-ads", ['"google_key": "YOUR-SECRET"', "END"]),
    ("hubspot-form", ["curl 'https://x.test/in/shop/submissions/v3/integration/submit/PORTAL/FORM'"]),
])  # fmt: skip
def test_the_example_can_be_pasted_into_a_shell(preset: str, parts: list[str]) -> None:
    text = html(source(preset=preset), "https://x.test/in/shop", "en").replace("&#39;", "'").replace("&#34;", '"')
    assert [part for part in parts if part not in text] == []


OWN: list[tuple[dict[str, object], list[str]]] = [
    ({}, ["email", "name", "phone", "country", "message", "campaign", "roof_type"]),
    ({"fields": {"rows.0.tel": "phone", "buyer.mail": "email", "name": "company"}, "required": ["city", "phone"],
      "constants": {"country": "ES"}},
     ["city", "rows", "buyer", "name", "message", "campaign", "roof_type"]),
    ({"allowed": ["name", "email", "phone", "city"], "required": ["phone|email", "city"], "preset": "generic-json"},
     ["phone", "city", "name", "email"]),
    ({"signature": {"scheme": "body-field", "field": "auth.key"}, "allowed": ["email"]}, ["auth", "email"]),
    ({"preset": "generic-form", "fields": {"Su correo": "email"}, "required": ["email", "postcode"]},
     ["Su correo", "postcode", "name", "phone", "country", "message", "campaign", "roof_type"]),
    ({"preset": "query-string", "fields": {"p.tel": "phone"}, "allowed": ["email", "phone"]}, ["email", "p.tel"]),
    ({"fields": {"mail": "email", "mail.city": "city"}, "allowed": ["city", "email"]}, ["mail.city", "mail"]),
    ({"fields": {"mail": "email", "mail.city": "city"}, "required": ["email"], "allowed": ["email", "city"]},
     ["mail", "mail.city"]),
    ({"preset": "zapier", "fields": {"lead__mail": "email"}, "required": list(FIELDS.keys() - {"consents", "is_test"})},
     []),
]  # fmt: skip


def pasted(desk: Desk, text: str) -> tuple[Response, list[str]]:
    """The page's example, sent as curl would; the names in it, in their order."""
    example = unescape(re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)[-1])
    kind = re.search(r"Content-Type: ([^']+)'", example)
    if kind is None:
        pairs = [line.split("=", 1) for line in re.findall(r"--data-urlencode '(.*?)'", example)]
        given = {"params" if "--get" in example else "data": dict(pairs)}
        return desk.call("GET" if "--get" in example else "POST", f"/in/shop/{KEY}", **given), [
            name for name, _ in pairs
        ]
    body = re.findall(r"<<'END'\n(.*)\nEND", example, re.DOTALL)[0]
    return desk.post(f"/in/shop/{KEY}", body.encode(), content_type=kind[1]), list(json.loads(body))


@pytest.mark.parametrize(("entry", "names"), OWN)
def test_the_example_is_what_this_very_source_takes(entry: dict[str, object], names: list[str]) -> None:
    keys = {} if "signature" in entry else {"keys": KEYS}
    desk = Desk({"shop": {**keys, **entry}}, {"shop": ["YOUR-SECRET"]})
    answer, sent = pasted(desk, html(source(**entry), "https://x.test/in/shop", "en"))
    assert answer.status_code == 200, answer.text
    assert (sent == names) or not names
    (lead,) = desk.leads()
    assert lead.answers.keys() <= {"roof_type", "rows.tel"}
    assert "YOUR-SECRET" not in str(lead)
    assert (lead.contact.email, lead.contact.phone) in {
        ("ana@example.org", "+34600000012"), ("ana@example.org", None)}  # fmt: skip
