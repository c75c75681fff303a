"""Each preset reads its product's body as its product sends it; the traps of such bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from schemas.events.leads import LeadReceived
from services.intake.rules import SourceRules
from services.intake.sources.examples import example_of, form_body
from services.intake.sources.presets import presets
from tests.unit.test_intake_deliver import KEY, KEYS, Desk

SECRET = "s3cr3t"
FORM = "application/x-www-form-urlencoded"
NOW = 1772366400  # the desk's clock


@dataclass(frozen=True)
class Case:
    """What the example of a preset becomes."""

    contact: dict[str, str]
    answers: dict[str, str] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    message: str | None = None
    consents: list[dict[str, Any]] = field(default_factory=list)
    source_key: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


ANA = {"full_name": "Ana Soto", "email": "ana@example.org"}
SPLIT = ANA | {"given_name": "Ana", "family_name": "Soto"}
PHONE = {"phone": "+34600000012"}
CASES = {
    "google-ads": Case(
        ANA | PHONE, {"SERVICE": "Roofing", "form_id": "40000000000"},
        {"channel": "google", "campaign": "10000000000", "click_id": "gclid:click-0001"}, source_key="TeSter-0001"),
    "typeform": Case(
        {"given_name": "Ana", "full_name": "Ana", "email": "ana@example.org", **PHONE},
        {"What is your budget?": "5,000 to 10,000", "What do you need?": "Repair, Solar, A skylight",
         "Do you own the house?": "true", "Deposit": "50", "calculated.score": "9", "form_id": "lT4Z3j"},
        {"channel": "newsletter", "campaign": "spring"}, source_key="a3a12ec67a1365927098a606107fac15"),
    "hubspot-form": Case(
        SPLIT, {"roof_type": "flat;tiled", "hutk": "60c2ccdfe4892f0fa0593940b12c11aa", "pageName": "Roofs",
                "formGuid": "f-1"},
        {"campaign": "spring", "landing_page": "https://www.example.com/roofs?utm_campaign=spring"},
        consents=[
            {"channel": "email", "purpose": "123", "granted": True, "text": "I want news by e-mail."},
            {"channel": "email", "purpose": "456", "granted": False, "text": "I want offers of partners."},
            {"channel": "email", "purpose": "processing", "granted": True,
             "text": "I allow Example to store my data."}]),
    "salesforce-web-to-lead": Case(
        SPLIT | PHONE | {"company": "Example Roofs"}, {"00N000000000001": "flat"},
        {"campaign": "701000000000001"}, "What is the price?",
        [{"channel": "email", "purpose": "marketing", "granted": False, "text": None}],
        extra={"redirect_hosts": ["www.example.com"]}),
    "marketo": Case(
        SPLIT, {"formId": "1029", "roofType": "flat"},
        {"channel": "newsletter", "landing_page": "https://www.example.com/roofs?utm_source=newsletter"}),
    "elementor": Case(
        ANA | PHONE, {"¿Qué tejado tiene?": "plano", "form_id": "3f1a2b", "form_name": "Presupuesto"},
        {"channel": "newsletter", "landing_page": "https://www.example.com/tejados?utm_source=newsletter"},
        "¿Cuánto cuesta?"),
    "elementor-advanced": Case(
        ANA, {"¿Qué tejado tiene?": "plano", "form.id": "3f1a2b", "form.name": "Presupuesto"},
        {"channel": "newsletter", "landing_page": "https://www.example.com/tejados?utm_source=newsletter"}),
    "gravity-forms": Case(
        SPLIT | PHONE, {"5.1": "Repair", "5.2": "Solar", "form_id": "3"},
        {"channel": "newsletter", "landing_page": "https://www.example.com/roofs/?utm_source=newsletter"},
        source_key="812", extra={"fields": {"1.3": "given_name", "1.6": "family_name", "3": "phone"}}),
    "contact-form-7": Case(ANA, {"your-subject": "Tejado"}, message="¿Cuánto cuesta?"),
    "wpforms": Case(ANA | PHONE, {"roof_type": "flat"}, message="What is the price?"),
    "unbounce": Case(
        ANA | PHONE, {"roof_type": "flat", "page_name": "Roofs", "page_id": "7f0b8a", "variant": "b"},
        {"channel": "newsletter", "landing_page": "https://www.example.com/lp?utm_source=newsletter"}),
    "tiktok": Case(ANA | PHONE, {"roof_type": "flat"}, {"channel": "tiktok"}),
    "mailgun": Case(ANA, {"recipient": "leads@example.com", "subject": "Roof"}, {"channel": "email"},
                    "What is the price?", source_key="<0001@example.org>"),
    "zapier": Case(ANA | PHONE, {"roof.type": "flat", "roof.size": "120"}, {"channel": "newsletter"}),
    "make": Case(ANA | PHONE, {"rooms": "kitchen, bath"}, {"campaign": "spring"}),
    "generic-json": Case(ANA | PHONE | {"country": "ES"}, {"roof_type": "flat"}, {"campaign": "spring"},
                         "What is the price?"),
    "generic-form": Case(ANA | PHONE, {"tejado": "plano, teja"}, message="¿Cuánto cuesta?"),
    "generic-xml": Case(ANA | PHONE, {"roof.type": "flat", "@id": "7", "phone.@type": "mobile"}),
    "query-string": Case(ANA | PHONE, {"roof_type": "flat"}),
}  # fmt: skip
PLAIN = ("plain", "hubspot-form")  # the protocols of the others have tests of their own
OURS = [n for n, one in presets().items() if one.example and one.source.get("protocol", "plain") in PLAIN]


def signed(preset: str, body: bytes, now: int = NOW) -> tuple[bytes, dict[str, str]]:
    """A body with what proves that its product sent it, and the headers that do."""
    key = SECRET.encode()
    if preset == "google-ads":
        return body.replace(b"YOUR-SECRET", key), {}
    if preset == "typeform":
        return body, {"typeform-signature": "sha256=" + base64.b64encode(hmac.digest(key, body, "sha256")).decode()}
    if preset == "tiktok":
        made = hmac.new(key, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        return body, {"tiktok-signature": f"t={now},s={made}"}
    if preset == "mailgun" and not body.startswith((b"{", b"--")):
        body = body.replace(b"timestamp=1772366400", f"timestamp={now}".encode())
        token = dict(pair.split(b"=") for pair in body.split(b"&"))[b"token"]
        made = hmac.new(key, str(now).encode() + token, hashlib.sha256).hexdigest()
        return body.replace(b"SIGNATURE", made.encode()), {}
    return body, {}


def source_of(preset: str, **entry: Any) -> dict[str, Any]:
    keyed = {} if "signature" in presets()[preset].source else {"keys": KEYS}
    return {"preset": preset, "region": "ES", **keyed, **entry}


def path_of(preset: str, key: str = KEY) -> str:
    """Where the product posts to."""
    rest = "/submissions/v3/integration/submit/7/f-1" if preset == "hubspot-form" else ""
    return f"/in/it{'' if 'signature' in presets()[preset].source else f'/{key}'}{rest}"


def desk_of(preset: str, **entry: Any) -> Desk:
    return Desk({"it": source_of(preset, **{**CASES[preset].extra, **entry})}, {"it": [SECRET]})


def send(desk: Desk, preset: str, body: bytes | None = None, content_type: str | None = None) -> httpx.Response:
    example = example_of(preset)
    assert example is not None
    content, headers = signed(preset, example.body if body is None else body)
    if preset == "query-string":
        return desk.call("GET", f"{path_of(preset)}?{content.decode()}")
    headers = {"content-type": content_type or example.content_type} | headers
    return desk.call("POST", path_of(preset), content=content, headers=headers)


def read(preset: str, body: Any, content_type: str | None = None, **entry: Any) -> LeadReceived:
    """The one lead that this body is."""
    desk = desk_of(preset, **entry)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = send(desk, preset, content, content_type)
    assert answer.status_code == 200, answer.text
    (lead,) = desk.leads()
    return lead


def example_json(preset: str) -> Any:
    example = example_of(preset)
    assert example is not None
    return json.loads(example.body)


def test_every_example_is_sent_by_these_tests_and_told_in_two_languages() -> None:
    assert sorted(CASES) == OURS
    assert all(presets()[name].how_es for name in OURS)


def test_what_nobody_has_verified_says_so() -> None:
    assert {name for name in OURS if not presets()[name].verified} == {
        "tiktok", "salesforce-web-to-lead", "marketo", "wpforms", "mailgun"}  # fmt: skip


@pytest.mark.parametrize("preset", CASES)
def test_the_example_becomes_the_lead_that_it_is(preset: str) -> None:
    desk, case = desk_of(preset), CASES[preset]
    answer = send(desk, preset)
    assert answer.status_code == (302 if preset == "salesforce-web-to-lead" else 200), answer.text
    (lead,) = desk.leads()
    contact = lead.contact.model_dump(exclude_none=True, exclude={"phone_raw"})
    origin = lead.origin.model_dump(exclude_none=True, exclude={"source", "origin_type"})
    assert (contact, lead.answers, origin, lead.message) == (case.contact, case.answers, case.origin, case.message)
    assert [one.model_dump() for one in lead.consents] == case.consents
    assert (lead.source_key, lead.is_test) == (case.source_key, False)
    assert SECRET not in lead.model_dump_json(exclude={"raw"})


@pytest.mark.parametrize("preset", CASES)
def test_the_same_body_twice_is_one_lead(preset: str) -> None:
    desk = desk_of(preset)
    send(desk, preset)
    send(desk, preset)
    ids = [dict(m.headers)["ce_id"] for m in desk.messages if m.topic == "leads.received.v1"]
    assert (len(ids), len(set(ids))) == (2, 1)


@pytest.mark.parametrize("preset", sorted(CASES))
def test_without_its_proof_nothing_is_taken(preset: str) -> None:
    desk, example = desk_of(preset), example_of(preset)
    assert example is not None
    content = {"params": example.text} if preset == "query-string" else {"content": example.body}
    answer = desk.call("POST", "/in/it", headers={"content-type": example.content_type}, **content)
    assert (answer.status_code, desk.messages) == (401, [])


@pytest.mark.parametrize("preset", sorted(CASES))
def test_a_field_that_nobody_knows_is_an_answer_or_passed_over_and_never_a_refusal(preset: str) -> None:
    example = example_of(preset)
    assert example is not None
    extra = "Ñandú ☂"
    if example.is_form:
        body = example.body + b"&" + urlencode({"un_known": extra}).encode()
    elif example.content_type == "application/xml":
        body = example.body.replace(b"</lead>", f"<un_known>{extra}</un_known></lead>".encode())
    else:
        content = json.loads(example.body)
        (content[0] if isinstance(content, list) else content)["un_known"] = extra
        body = json.dumps(content).encode()
    desk = desk_of(preset)
    assert send(desk, preset, body).status_code in (200, 302)
    (lead,) = desk.leads()
    assert lead.answers.get("un_known") == (None if preset == "marketo" else extra)
    assert extra in lead.raw or json.dumps(extra).strip('"') in lead.raw or example.is_form or preset == "marketo"


@pytest.mark.parametrize("preset", [name for name in CASES if name not in ("query-string", "generic-xml")])
def test_a_bom_before_the_body_is_passed_over(preset: str) -> None:
    example = example_of(preset)
    assert example is not None
    desk = desk_of(preset)
    assert send(desk, preset, b"\xef\xbb\xbf" + example.body).status_code in (200, 302)
    assert desk.leads()[0].contact.email == "ana@example.org"


@pytest.mark.parametrize("preset", [n for n in CASES if presets()[n].example and "form" in presets()[n].example[-4:]])  # type: ignore[index]
def test_a_form_that_is_not_utf_8_is_read(preset: str) -> None:
    example = example_of(preset)
    assert example is not None
    body = urlencode([pair for line in example.text.splitlines() for pair in [line.partition("=")[::2]]],
                     encoding="cp1252").replace("Ana", "An%E1").encode()  # fmt: skip
    desk = desk_of(preset)
    if preset == "query-string":
        return
    assert send(desk, preset, body).status_code in (200, 302)
    (lead,) = desk.leads()
    assert lead.contact.full_name == "Aná Soto"


# The traps of single products.


def google(**changes: Any) -> dict[str, Any]:
    return {**example_json("google-ads"), **changes}


@pytest.mark.parametrize(("written", "key"), [
    (9007199254740993, "9007199254740993"), ("9007199254740993", "9007199254740993"),
    (12345678901234567890, "12345678901234567890"),
])  # fmt: skip
def test_an_id_is_the_same_as_number_and_as_text_however_long(written: Any, key: str) -> None:
    assert read("google-ads", google(lead_id=written)).source_key == key
    assert read("google-ads", google(campaign_id=written)).origin.campaign == key


def test_a_body_pasted_from_googles_page_is_read_with_its_comma_and_capital() -> None:
    body = json.dumps(google(), indent=1).replace("google_key", "Google_key").rstrip("}\n ") + ",\n}"
    lead = read("google-ads", body.encode())
    assert (lead.contact.email, "Google_key" in lead.answers) == ("ana@example.org", False)
    assert lead.raw.endswith(",\n}")


def test_a_comma_in_a_text_stays_though_the_body_has_one_too_many() -> None:
    assert read("generic-json", rb'{"email": "a@example.org", "message": "a,] ,} \" ,}",}').message == 'a,] ,} " ,}'


def test_columns_without_ids_are_known_by_their_names() -> None:
    named = {"Full Name": "Ana Soto", "User Email": "a@example.org", "User Phone": "600000012", "What roof?": "flat"}
    columns = [{"column_name": name, "string_value": value} for name, value in named.items()]
    lead = read("google-ads", google(user_column_data=columns))
    assert (lead.contact.full_name, lead.contact.email, lead.contact.phone) == (
        "Ana Soto",
        "a@example.org",
        "+34600000012",
    )
    assert lead.answers["What roof?"] == "flat"


@pytest.mark.parametrize("ids", [("EMAIL", "WORK_EMAIL"), ("WORK_EMAIL", "EMAIL")])
def test_of_a_private_and_a_work_address_the_private_one_is_the_leads(ids: tuple[str, str]) -> None:
    columns = [{"column_id": name, "string_value": f"{name.lower()}@example.org"} for name in ids]
    lead = read("google-ads", google(user_column_data=columns))
    assert (lead.contact.email, lead.answers["WORK_EMAIL"]) == ("email@example.org", "work_email@example.org")
    only = read("google-ads", google(user_column_data=[{"column_id": "WORK_EMAIL", "string_value": "w@example.org"}]))
    assert only.contact.email == "w@example.org"


def test_googles_test_button_makes_a_test_lead() -> None:
    assert read("google-ads", google(is_test=True)).is_test


def test_an_answer_is_joined_to_its_question_by_reference_alone_and_may_be_mapped_by_it() -> None:
    body = example_json("typeform")
    for one in body["form_response"]["answers"]:
        del one["field"]["id"]
    lead = read(
        "typeform",
        body,
        fields={"money": "budget", "¿Do you own THE house?": "urgency", "Do you own THE house?": "urgency"},
    )
    assert (lead.budget, lead.urgency) == (5000.0, "true")
    assert "What is your budget?" not in lead.answers


def test_two_questions_with_the_same_words_are_both_kept() -> None:
    body = example_json("typeform")
    for question in body["form_response"]["definition"]["fields"][3:5]:
        question["title"] = "Which?"
    answers = read("typeform", body).answers
    assert (answers["Which?"], answers["money"]) == ("Repair, Solar, A skylight", "5,000 to 10,000")


def test_as_many_answers_without_a_question_as_there_are_stay() -> None:
    body = example_json("typeform")
    body["form_response"]["answers"] = [
        {"type": "text", "text": word, "field": {"id": "x"}} for word in ("a", "b", "c")
    ]
    answers = read("typeform", body).answers
    assert (answers["x"], answers["x 2"], answers["x 3"]) == ("a", "b", "c")


def test_a_field_that_stands_outside_is_not_replaced_by_one_further_in() -> None:
    lead = read("tiktok", {"email": "out@example.org", "lead": {"email": "in@example.org", "city": "Vigo"}})
    assert (lead.contact.email, lead.contact.city, lead.answers) == (
        "out@example.org", "Vigo", {"lead.email": "in@example.org"})  # fmt: skip


def test_an_answer_of_a_kind_that_nobody_knows_is_kept() -> None:
    body = example_json("typeform")
    body["form_response"]["answers"] = [
        {"type": "matrix", "matrix": {"left": "a", "right": {"x": 1}}, "field": {"id": "q4"}},
        {"type": "email", "email": "ana@example.org", "field": {"id": "gone"}}]  # fmt: skip
    lead = read("typeform", body)
    assert lead.contact.email == "ana@example.org"
    assert (lead.answers["What is your budget?.left"], lead.answers["What is your budget?.right.x"]) == ("a", "1")


@pytest.mark.parametrize("answers", [None, [], "x", [7, None, "x"], [{"type": 7}], {"type": "text"}])
def test_answers_that_are_none_do_not_lose_the_hidden_fields(answers: Any) -> None:
    body = example_json("typeform")
    body["form_response"]["answers"] = answers
    assert read("typeform", body).origin.campaign == "spring"


def test_hubspots_legitimate_interest_is_a_consent_with_its_words_under_the_name_that_the_source_gives() -> None:
    interest = {"value": True, "subscriptionTypeId": 123, "legalBasis": "LEAD", "text": "We may write to you."}
    body = {**example_json("hubspot-form"), "legalConsentOptions": {"legitimateInterest": interest}}
    (consent,) = read("hubspot-form", body, purposes={"123": "marketing"}).consents
    assert (consent.purpose, consent.granted, consent.text) == ("marketing", True, "We may write to you.")


def test_hubspots_clients_are_answered_as_hubspot_does() -> None:
    assert send(desk_of("hubspot-form"), "hubspot-form").json() == {"inlineMessage": "Thank you. We have your message."}
    answer = send(desk_of("hubspot-form", required=["city"]), "hubspot-form")
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["errorType"]) == (
        422,
        "required",
        "REQUIRED",
    )


def web_to_lead(**changes: str) -> bytes:
    example = example_of("salesforce-web-to-lead")
    assert example is not None
    fields = dict(line.partition("=")[::2] for line in example.text.splitlines())
    return urlencode({**fields, **changes}).encode()


@pytest.mark.parametrize(("url", "status"), [
    ("https://www.example.com/thanks", 302), ("https://evil.test/", 200), ("//www.example.com", 200), ("", 200),
])  # fmt: skip
def test_web_to_lead_sends_browsers_only_to_hosts_of_the_list(url: str, status: int) -> None:
    desk = desk_of("salesforce-web-to-lead")
    answer = send(desk, "salesforce-web-to-lead", web_to_lead(retURL=url))
    assert (answer.status_code, answer.headers.get("location")) == (status, url if status == 302 else None)
    assert len(desk.leads()) == 1


def test_an_opt_out_that_is_not_ticked_is_no_consent() -> None:
    desk = desk_of("salesforce-web-to-lead")
    send(desk, "salesforce-web-to-lead", web_to_lead(emailOptOut="0"))
    assert len(desk.leads()[0].consents) == 0


def test_labels_are_known_whatever_their_case_and_accents() -> None:
    body = form_body("CORREO DE LA SEÑORA=ana@example.org\nMovil  de contacto=600000012\nmóvil de contacto=600000013")
    lead = read("elementor", body, fields={"correo de la senora": "email", "Móvil de contacto": "phone"})
    assert (lead.contact.email, lead.contact.phone) == ("ana@example.org", "+34600000013")


def test_one_of_several_marketo_submissions_that_is_bad_does_not_lose_the_others() -> None:
    body = example_json("marketo")
    body["input"] = [body["input"][0], 7, {"leadFormFields": {"email": "b@example.org"}}]
    desk = desk_of("marketo")
    answer = send(desk, "marketo", json.dumps(body).encode())
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)
    assert [lead.answers["formId"] for lead in desk.leads()] == ["1029", "1029"]


def test_unbounces_fields_are_not_lost_when_its_json_is_cut_off() -> None:
    body = form_body('page_url=https://www.example.com/\nemail=ana@example.org\ndata.json={"name":["Ana')
    assert read("unbounce", body).contact.email == "ana@example.org"


def test_a_mail_without_a_name_has_its_address_and_one_with_its_signature_inside_is_read() -> None:
    stamp, token = str(NOW), "t" * 50
    made = hmac.new(SECRET.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    mail = {"sender": "ana@example.org", "body-plain": "Hello", "Message-Id": "<2@example.org>",
            "signature": {"timestamp": stamp, "token": token, "signature": made}}  # fmt: skip
    lead = read("mailgun", mail)
    assert (lead.contact.email, lead.contact.full_name, lead.message) == ("ana@example.org", None, "Hello")
    assert lead.answers == {}


def test_a_mail_with_a_large_file_is_a_lead() -> None:
    stamp, token = str(NOW), "abc"
    made = hmac.new(SECRET.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    fields = {"sender": "ana@example.org", "body-plain": "Hello", "Message-Id": "<3@example.org>", "timestamp": stamp,
              "token": token, "signature": made}  # fmt: skip
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    file = part.format('attachment-1"; filename="roof.jpg', "x" * 1_000_000)
    body = file + "".join(part.format(*field) for field in fields.items()) + "--b--\r\n"
    lead = read("mailgun", body.encode(), "multipart/form-data; boundary=b")
    assert (lead.contact.email, lead.message, lead.answers) == ("ana@example.org", "Hello", {})


def test_a_mailgun_source_with_a_key_takes_nothing_without_both() -> None:
    desk = desk_of("mailgun", keys=KEYS)
    assert send(desk, "mailgun").status_code == 401
    body, _ = signed("mailgun", example_of("mailgun").body)
    form = {"content-type": "application/x-www-form-urlencoded"}
    spoilt = body.replace(b"signature=", b"signature=0")
    assert desk.call("POST", f"/in/it/{KEY}", content=spoilt, headers=form).status_code == 401
    assert desk.messages == []
    assert desk.call("POST", f"/in/it/{KEY}", content=body, headers=form).status_code == 200


@pytest.mark.parametrize(("sent", "answers"), [
    ({"a__b__c": 1}, {"a.b.c": "1"}), ({"a__b": 1, "a": "x"}, {"a__b": "1", "a": "x"}),
    ({"__a": 1, "b__": 2}, {"__a": "1", "b__": "2"}), ({"a": {"b": 1}, "a__b": 2}, {"a.b": "1", "a__b": "2"}),
    ({"__".join("abcdefghijklmn"): 1}, {"__".join("abcdefghijklmn"): "1"}),
])  # fmt: skip
def test_names_with_two_underscores_are_nested_where_nothing_is_in_the_way(sent: Any, answers: dict[str, str]) -> None:
    assert read("zapier", {"email": "a@example.org", **sent}).answers == answers


@pytest.mark.parametrize(("sent", "email", "answers"), [
    ({"email": ["a@example.org", "b@example.org"]}, "a@example.org", {"email 2": "b@example.org"}),
    ({"people": [{"email": "a@example.org"}, {"email": "b@example.org"}], "email": "c@example.org"}, "c@example.org",
     {"people.0.email": "a@example.org", "people.1.email": "b@example.org"}),
    ({"lead": [{"email": "a@example.org"}]}, "a@example.org", {}),
    ({"data": {"contact": {"email": "a@example.org"}}}, "a@example.org", {}),
    ({"email": "Ana Soto <a@example.org>"}, "a@example.org", {}),
    ({"was": "a@example.org"}, "a@example.org", {}),
    ({"was": "a@example.org", "is": "b@example.org"}, None, {"was": "a@example.org", "is": "b@example.org"}),
    ({"email": {}, "x": []}, None, {}),
])  # fmt: skip
def test_addresses_in_lists_and_objects_are_found(sent: Any, email: str | None, answers: dict[str, str]) -> None:
    lead = read("make", {"city": "Vigo", **sent})
    assert (lead.contact.email, lead.answers) == (email, answers)


def test_a_field_as_deep_as_a_hostile_sender_likes_is_still_a_lead() -> None:
    deep: Any = 1
    for _ in range(90):
        deep = {"a": [deep]}
    lead = read("generic-json", {"email": "a@example.org", "name": deep, "consents": "yes", "b": {"consents": [1]}})
    assert lead.contact.email == "a@example.org"


def test_a_constant_counts_over_the_usual_name_of_its_field_and_a_default_does_not() -> None:
    lead = read("generic-json", {"email": "a@example.org", "idioma": "fr", "utm_campaign": "theirs"},
                defaults={"language": "es"}, constants={"campaign": "ours"})  # fmt: skip
    assert (lead.contact.language, lead.origin.campaign) == ("fr", "ours")


@pytest.mark.parametrize("written", ["https://[", "x", "https://www.example.com/?utm_source=" + "&a=1" * 200, 7])
def test_a_page_that_is_no_address_loses_nothing(written: Any) -> None:
    assert read("generic-json", {"email": "a@example.org", "page_url": written}).contact.email == "a@example.org"


def test_what_the_sender_says_counts_over_the_address_of_the_page() -> None:
    page = "https://www.example.com/?utm_campaign=page&gclid=c1"
    lead = read("generic-json", {"email": "a@example.org", "page_url": page, "utm_campaign": "body"})
    assert (lead.origin.campaign, lead.origin.click_id, lead.answers) == ("body", "gclid:c1", {})


@pytest.mark.parametrize(("label", "written"), [
    (FORM, b"Jos%E9"), (FORM, "José".encode("cp1252")), (f"{FORM}; charset=ISO-8859-1", b"Jos%E9"),
    (f"{FORM}; charset=KOI8-R", b"%EA"), (FORM, b"Jos%C3%A9&note=%E9"), ("text/plain", b"Jos%C3%A9"),
    (f"{FORM}; charset=unicode_escape", b"Jos%E9"), (FORM, b"Jos%81"), (f"{FORM}; charset=iso-8859-1", b"%80"),
])  # fmt: skip
def test_a_form_is_read_in_the_letters_that_it_is_written_in(label: str, written: bytes) -> None:
    lead = read("generic-form", b"email=a%40example.org&nombre=" + written, label)
    odd = {b"%EA": "Й", b"Jos%81": "Jos\x81", b"%80": "€"}
    expected = odd.get(written, "José")
    assert (lead.contact.full_name, lead.contact.email) == (expected, "a@example.org")


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_file_in_a_form_costs_no_lead_and_its_name_is_kept(size: int) -> None:
    desk = desk_of("generic-form")
    files = {"plan": ("plan.pdf", b"x" * size, "application/pdf")}
    answer = desk.call("POST", path_of("generic-form"), data={"email": "a@example.org"}, files=files)
    assert answer.status_code == 200, answer.text
    (lead,) = desk.leads()
    assert (lead.contact.email, lead.answers) == ("a@example.org", {"plan": "plan.pdf"})
    assert len(lead.raw) < 100


def test_a_script_of_a_web_page_may_post_and_read_the_answer() -> None:
    desk, origin = desk_of("hubspot-form"), {"origin": "https://www.example.com"}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    allowed = desk.call("OPTIONS", path_of("hubspot-form"), headers=asked)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
    assert "content-type" in allowed.headers["access-control-allow-headers"]
    for answer in (send(desk, "hubspot-form"), desk.call("POST", "/in/it", headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "*"


def test_a_browser_sees_a_page_and_a_program_its_id() -> None:
    desk = desk_of("generic-form")
    for accept, kind in (("text/html,*/*", "text/html; charset=utf-8"), ("*/*", "application/json")):
        answer = desk.post(f"/in/it/{KEY}", b"email=a%40example.org", content_type=FORM, accept=accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


@pytest.mark.parametrize("body", [
    b"<lead><email>a@example.org</email></lead>", b"  \xef\xbb\xbf<lead><email>a@example.org</email></lead>",
    '<?xml version="1.0" encoding="ISO-8859-1"?><l><email>a@example.org</email><city>Á</city></l>'.encode("latin-1"),
    "<l><email>a@example.org</email></l>".encode("utf-16"),
])  # fmt: skip
def test_xml_is_read_whatever_it_is_called(body: bytes) -> None:
    for label in ("application/xml", "text/xml; charset=utf-8"):
        assert read("generic-xml", body, label).contact.email == "a@example.org"


@pytest.mark.parametrize("body", [
    b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a>&e;</a>', b"<a>", b"<a><b></a>", b"<" * 1000,
])  # fmt: skip
def test_xml_that_is_none_is_refused_with_a_reason(body: bytes) -> None:
    answer = send(desk_of("generic-xml"), "generic-xml", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_xml")


@pytest.mark.parametrize("items", ["leads", "pedidos"])
def test_a_bare_list_is_a_batch_however_the_source_calls_its_list(items: str) -> None:
    desk = desk_of("generic-json", items=items)
    body = b'[{"email": "ana@example.org"}, "no lead", {"email": "eva@example.org"}]'
    answer = send(desk, "generic-json", body).json()
    assert (answer["accepted"], answer["rejected"], answer["results"][1]["error"]["code"]) == (2, 1, "not_an_object")


def test_json_in_a_field_of_a_form_is_opened() -> None:
    body = urlencode({"payload": '{"email": "a@example.org", "contact": {"city": "Vigo"}}'}).encode()
    lead = read("generic-form", body)
    assert (lead.contact.email, lead.contact.city) == ("a@example.org", "Vigo")


@pytest.mark.parametrize("preset", ["google-ads", "generic-json"])
def test_nul_and_half_a_letter_are_cleaned(preset: str) -> None:
    content = google() if preset == "google-ads" else {"email": "ana@example.org"}
    body = json.dumps(content).replace("{", '{"city": "Vi\\u0000go \\ud83d", ', 1).encode()
    assert read(preset, body).contact.city == "Vigo \ufffd"


def test_a_book_may_name_every_preset() -> None:
    book = {name: source_of(name, **CASES[name].extra, keys=[]) for name in OURS}
    assert SourceRules.model_validate({"sources": book}).sources.keys() == set(OURS)
