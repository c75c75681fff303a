"""Which field a sender means: our names, their usual names in English and Spanish, and the rest as answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
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
_LIMITS = {"message": 10_000, "email": 320, "referrer": 2000, "landing_page": 2000, "consent_text": 2000}
_ALWAYS = frozenset({"is_test", "occurred_at"})  # about the submission, not the person
_CONTAINERS = frozenset(
    {"contact", "person", "lead", "data", "fields", "company", "address", "utm", "traits", "origin"})  # fmt: skip
_MOST_ANSWERS, _LONGEST_NAME, _LONGEST_ANSWER, _MOST_CONSENTS = 100, 100, 2000, 10
_BY_NAME = {name: ours for ours, names in FIELDS.items() for name in (ours, *names.split())}


def folded(name: str) -> str:
    """A name by which senders mean the same: case, accents, spaces, hyphens and a trailing `[]` do not matter."""
    return _folded(name[:_LONGEST_NAME])


@lru_cache(maxsize=4096)  # whose keys stay: they are cut
def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.strip().lower().removesuffix("[]"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return plain.replace("-", "_").replace(" ", "_").replace(".", "_")


def canonical(name: str) -> str | None:
    """Our name of a field, or None, however it is written."""
    return _BY_NAME.get(folded(name))


def canonical_path(name: str) -> str | None:
    """Our name of a field that may lie in others: `contact.email`, `company.name`."""
    *outer, last = name.split(".")
    if not outer or not _CONTAINERS.issuperset(outer):
        return canonical(name)
    return canonical(f"{outer[-1]}_{last}") or canonical(last)


@dataclass(slots=True)  # not frozen: built for every item, and a frozen one costs three times as much
class Sorted:
    """A submission's fields: those that we know as text, consents, the rest as answers, and wrong types."""

    values: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    consents: list[Mapping[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def sort_fields(content: Mapping[str, Any], renamed: Mapping[str, str]) -> Sorted:
    """Every field under our name for it; a second value for a field that has one is an answer."""
    found = Sorted()
    for name, value in content.items():
        if isinstance(value, dict) and name in _CONTAINERS:
            for child, inner in value.items():
                known = canonical(f"{name}_{child}") or canonical(child)
                _put(found, f"{name}.{child}", known, inner)
        else:
            _put(found, name, renamed.get(name) or canonical(name), value)
    return found


def only(found: Sorted, allowed: tuple[str, ...]) -> Sorted:
    """What a contract with the sender lets us keep: these fields of ours, and no answers."""
    values = {name: value for name, value in found.values.items() if name in allowed or name in _ALWAYS}
    return Sorted(values, {}, found.consents if "consents" in allowed else [], [n for n in found.wrong if n in allowed])


def _put(found: Sorted, name: str, known: str | None, value: Any) -> None:
    if value is None:
        return
    if known is None or known in found.values:
        _put_answer(found.answers, name, value)
    elif known == "consents":
        _put_consents(found, value)
    elif not is_scalar(value):
        found.wrong.append(known)
    elif plain := text(value, _LIMITS.get(known, 200)):
        found.values[known] = plain


def _put_answer(answers: dict[str, str], name: str, value: Any) -> None:
    if isinstance(value, list) and all(map(is_scalar, value)):
        value = ", ".join(filter(None, map(text, value)))
    elif not is_scalar(value):
        value = to_json(value).decode()
    plain = text(value, _LONGEST_ANSWER)
    if plain and len(answers) < _MOST_ANSWERS:
        answers[text(name, _LONGEST_NAME) or "-"] = plain


def _put_consents(found: Sorted, value: Any) -> None:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        found.consents.extend(value[:_MOST_CONSENTS])
    else:
        found.wrong.append("consents")
