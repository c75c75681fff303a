"""Reasons in Spanish. Services write them in English, a code and a sentence; here stand the sentences of each code.

A sentence is matched whole and its blanks are taken over: what a rule book says in words of its own is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

_BLANKS = """
cost | precio
no reason given | sin indicar motivo
bought lists are called first | a las listas compradas se las llama primero
north of Spain, by postcode | norte de España, por código postal
the rest of Spain | el resto de España
Latin America | Latinoamérica
elsewhere, by country | otros países
no country given, Spanish telephone | sin país, teléfono español
no country given, Latin American telephone | sin país, teléfono latinoamericano
writes in Spanish | escribe en español
page_view | página vista
mail_open | correo abierto
mail_click | clic en un correo
download | descarga
chat | chat
call | llamada
reply | respuesta
meeting | reunión
"""


def _compiled(english: str) -> re.Pattern[str]:
    parts = re.split(r"{(\w+)}", english)
    return re.compile("".join(f"(?P<{p}>.+)" if n % 2 else re.escape(p) for n, p in enumerate(parts)), re.DOTALL)


def _rows(table: str) -> list[list[str]]:
    return [line.split(" | ") for line in table.strip().splitlines()]


BLANKS: Mapping[str, str] = MappingProxyType(dict(_rows(_BLANKS)))
_TEXT = Path(__file__).with_name("reasons.es.txt").read_text(encoding="utf-8")
SENTENCES = tuple((code, _compiled(english), spanish) for code, english, spanish in _rows(_TEXT))


@lru_cache(maxsize=4096)  # the same rules say the same of lead after lead, once a second
def in_spanish(code: str, text: str) -> str | None:
    """The Spanish sentence for a reason; None where the code, or what the text says of it, is not known."""
    for known, english, spanish in SENTENCES:
        if known == code and (found := english.fullmatch(text)):
            return spanish.format(**{name: BLANKS.get(said, said) for name, said in found.groupdict().items()})
    return None
