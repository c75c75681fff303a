"""E-mail and telephone, normalised once for everybody downstream."""

from __future__ import annotations

import re
from functools import lru_cache

import idna
import phonenumbers

from schemas.events.leads import Quality
from services.intake.dialled import dialled

_EMAIL = re.compile(
    r'[^\s@<>"(),:;\\\x00-\x1f\x7f]{1,64}@'
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,10}[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
_LONGEST = 320  # characters of an address as written
_ROLE_NAMES = (
    "abuse accounts admin administracion administrador atencion ayuda billing clientes comercial compras contabilidad "
    "contact contacto direccion empleo enquiries facturacion hello help hola hostmaster hr info informacion jobs "
    "mail marketing noreply no-reply office oficina pedidos postmaster press prensa purchasing recepcion reception "
    "rrhh sales secretaria service soporte support team ventas webmaster"
)
_ROLES = frozenset(_ROLE_NAMES.split())
_COUNTRIES = {
    "spain": "ES", "españa": "ES", "espana": "ES", "portugal": "PT", "france": "FR", "francia": "FR",
    "germany": "DE", "alemania": "DE", "deutschland": "DE", "italy": "IT", "italia": "IT",
    "united kingdom": "GB", "uk": "GB", "reino unido": "GB", "ireland": "IE", "irlanda": "IE",
    "united states": "US", "usa": "US", "estados unidos": "US", "eeuu": "US", "mexico": "MX", "méxico": "MX",
    "argentina": "AR", "chile": "CL", "colombia": "CO", "peru": "PE", "perú": "PE", "ecuador": "EC", "uruguay": "UY",
}  # fmt: skip


def email(written: str | None) -> tuple[str | None, Quality]:
    """The address to write to (lower case, domain in ASCII) and how good it is; None where it cannot be one."""
    if not written:
        return None, "missing"
    if len(written := written.strip()) > _LONGEST:
        return None, "invalid"
    local, at, domain = written.lower().removeprefix("mailto:").rpartition("@")
    address = f"{local}{at}{_ascii(domain.rstrip('.'))}"
    if len(address) > 254 or ".." in local or not _EMAIL.fullmatch(address):
        return None, "invalid"
    return address, "role" if local.partition("+")[0] in _ROLES else "ok"


def region_of(country: str | None, default: str | None) -> str | None:
    """Two-letter region for reading national numbers: from the country as written, else the source's default."""
    if not country:
        return default
    code = _COUNTRIES.get(country.lower(), country.upper())
    return code if code in phonenumbers.SUPPORTED_REGIONS else default


def phone(written: str | None, region: str | None) -> tuple[str | None, Quality]:
    """E.164 and how good the number is; None where it cannot be one."""
    return _phone(written.removeprefix("tel:")[:60], region) if written else (None, "missing")


@lru_cache(maxsize=8192)  # reading one takes 15 µs and more; the keys stay, so they are cut
def _phone(written: str, region: str | None) -> tuple[str | None, Quality]:
    try:
        number = dialled(written, region)
    except phonenumbers.NumberParseException:
        return None, "invalid"
    valid = phonenumbers.is_valid_number(number)
    if not valid and not phonenumbers.is_possible_number(number):
        return None, "invalid"
    e164 = f"+{number.country_code}{phonenumbers.national_significant_number(number)}"
    return e164, "ok" if valid and len(set(e164[-7:])) > 1 else "implausible"


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain
