"""What a body at a source's own address holds: JSON, XML or a form, whatever its label says and its writer forgot.

More is read here than at `/v1`, whose senders are programs that can mend what they send: who posts here is a form on
somebody's web site, or a person who tries the address out.

| sent                                     | what becomes of it                                                  |
| ---------------------------------------- | ------------------------------------------------------------------- |
| a form that is not UTF-8                 | value by value: as UTF-8, else as its charset says, else as cp1252  |
| a form with files                        | their names; the files are not kept                                 |
| a form without its label                 | read as a form                                                      |
| JSON with a comma before `}` or `]`      | read: it was pasted from a page                                     |
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from services.intake.answers import Problem
from services.intake.body import BLANK, CHARSET, read_content, read_multipart
from services.intake.brackets import nested
from services.intake.parse import Unparsed, form_text, pairs_text, parse_form

_FORM = "application/x-www-form-urlencoded"
_MOST_FILES = 20
_COMMA = re.compile(  # strings first, so that theirs stay
    rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|,(?=\s*+[}\]])', re.DOTALL
)
_AS_BROWSERS_DO = {"iso-8859-1": "cp1252"}


def read(content_type: str, body: bytes) -> tuple[Any, str] | Problem:
    """What the body holds, and its text as sent."""
    kind, body = content_type.partition(";")[0].strip().lower(), body.lstrip(BLANK)
    if body[:1] not in (b"", b"{", b"[", b"<") and (kind == _FORM or _may_be_form(kind, body)):
        return _form(content_type, body)
    if kind == "multipart/form-data" and body[:1] not in (b"", b"{", b"[", b"<"):
        return read_multipart(content_type, body, _MOST_FILES)
    found = read_content(content_type, body)
    if isinstance(found, Problem) and found.code == "bad_json":
        again = read_content(content_type, _COMMA.sub(lambda match: match[1] or b"", body))
        return found if isinstance(again, Problem) else (again[0], body.decode())
    return found


def _may_be_form(kind: str, body: bytes) -> bool:
    return b"=" in body and not kind.startswith("multipart/") and not kind.endswith(("json", "xml"))


def _form(content_type: str, body: bytes) -> tuple[Any, str] | Problem:
    found = parse_form(body)
    if not isinstance(found, Unparsed):
        return found, form_text(body)
    if found.code != "bad_encoding":
        return Problem(400, found.code, found.message)
    bytewise = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=500)
    declared = CHARSET.search(content_type.lower())
    charset = _AS_BROWSERS_DO.get(declared[1], declared[1]) if declared else "cp1252"
    pairs = [(_decoded(name, charset), _decoded(value, charset)) for name, value in bytewise]
    return nested(pairs), body.decode() if body.isascii() else pairs_text(pairs)


def _decoded(written: str, charset: str) -> str:
    """Text of bytes that stand as Latin-1; those that no charset knows stay."""
    for name in ("utf-8", charset, "cp1252"):
        try:
            return written.encode("latin-1").decode(name)
        except UnicodeDecodeError:
            continue
    return written
