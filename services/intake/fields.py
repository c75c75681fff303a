"""Which field a sender means: our names, their usual names in English and Spanish, and the rest as answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from services.intake.values import is_scalar, text

FIELDS: Mapping[str, str] = {
    "email": "mail e_mail correo correo_electronico email_address emailaddress work_email business_email",
    "phone": "tel telephone telefono movil mobile cell celular phone_number phonenumber mobile_phone whatsapp",
    "name": "full_name fullname nombre nombre_completo nombre_y_apellidos contact_name your_name",
    "given_name": "first_name firstname fname nombre_de_pila",
    "family_name": "last_name lastname lname surname apellido apellidos",
    "company": "company_name empresa organization organisation organizacion account razon_social",
    "job_title": "title position cargo puesto role",
    "street": "address address_street address_line1 street_address direccion calle domicilio",
    "city": "town ciudad poblacion localidad municipio",
    "region": "state province provincia comunidad county",
    "postcode": "zip zip_code postal_code postalcode codigo_postal cp",
    "country": "country_code pais",
    "language": "lang locale idioma",
    "product": "producto product_name interested_in interes product_of_interest modelo",
    "message": "mensaje comments comment comentario comentarios consulta enquiry inquiry notes your_message",
    "budget": "presupuesto budget_range",
    "urgency": "urgencia timeframe timeline plazo",
    "channel": "canal utm_source",
    "campaign": "campana utm_campaign campaign_name",
    "medium": "utm_medium",
    "term": "utm_term",
    "content": "utm_content",
    "referrer": "referer http_referrer",
    "landing_page": "landing landing_url page_url page_uri",
    "list_name": "list lista",
    "referred_by": "recomendado_por referral",
    "gclid": "", "wbraid": "", "gbraid": "", "fbclid": "", "msclkid": "", "ttclid": "", "li_fat_id": "",
    "occurred_at": "created_at submitted_at created_time timestamp fecha",
    "is_test": "test_lead",
    "consent": "consentimiento marketing_consent gdpr_consent opt_in optin acepto newsletter",
    "consent_text": "texto_consentimiento",
    "consents": "",
}  # fmt: skip
"""Our field names, each with the other names under which it is known."""

CLICK_IDS = ("gclid", "wbraid", "gbraid", "fbclid", "msclkid", "ttclid", "li_fat_id")
STRUCTURED = frozenset({"consents"})
_LIMITS = {"message": 10_000, "email": 320, "referrer": 2000, "landing_page": 2000, "consent_text": 2000}
_CONTAINERS = frozenset(
    {"contact", "person", "lead", "data", "fields", "company", "address", "utm", "traits", "origin"})  # fmt: skip
_MOST_ANSWERS, _LONGEST_NAME, _LONGEST_ANSWER = 100, 100, 2000
_BY_NAME = {name: field for field, names in FIELDS.items() for name in (field, *names.split())}


@lru_cache(maxsize=4096)
def canonical(name: str) -> str | None:
    """Our name of a field, or None: case, accents, spaces, hyphens and a trailing `[]` do not matter."""
    plain = unicodedata.normalize("NFKD", name[:_LONGEST_NAME].strip().lower().removesuffix("[]"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return _BY_NAME.get(plain.replace("-", "_").replace(" ", "_").replace(".", "_"))


def limit_of(field: str) -> int:
    """Most characters that a field keeps; the rest stays in the raw submission."""
    return _LIMITS.get(field, 200)


def sort_fields(content: Mapping[str, Any], renamed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields that we know, by our names, and all others as answers. A second value for a field is an answer."""
    known: dict[str, Any] = {}
    answers: dict[str, str] = {}
    for name, field, value in _leaves(content, renamed):
        if value is None:
            continue
        if field is not None and field not in known:
            known[field] = value
        elif len(answers) < _MOST_ANSWERS and (answer := _answer(value)):
            answers[text(name, _LONGEST_NAME) or "-"] = answer
    return known, answers


def _leaves(content: Mapping[str, Any], renamed: Mapping[str, str]) -> Iterator[tuple[str, str | None, Any]]:
    for name, value in content.items():
        if isinstance(value, dict) and name in _CONTAINERS:
            for child, inner in value.items():
                yield f"{name}.{child}", canonical(f"{name}_{child}") or canonical(child), inner
        else:
            yield name, renamed.get(name) or canonical(name), value


def _answer(value: Any) -> str | None:
    if isinstance(value, list) and all(map(is_scalar, value)):
        value = ", ".join(filter(None, map(text, value)))
    elif not is_scalar(value):
        value = to_json(value).decode()
    return text(value, _LONGEST_ANSWER)
