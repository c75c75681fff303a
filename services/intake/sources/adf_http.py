"""ADF over HTTP: car leads as XML, each prospect a lead, whatever the media type says."""

from __future__ import annotations

import codecs
import re
from urllib.parse import unquote_plus

from services.intake.answers import Problem
from services.intake.body import MOST_ITEMS
from services.intake.sources.adf import Prospect, read_adf
from services.intake.sources.mapping import key_of, mapped
from services.intake.sources.protocol import Delivery, Item, Unpacked
from services.intake.sources.source import Source

_NONE = Problem(422, "no_prospect", "the body holds no <prospect>; send ADF 1.0, one or several prospects in <adf>")
_DECLARED = re.compile(rb"""encoding\s*=\s*["']?([A-Za-z0-9._-]{1,20})""")
_TAKEN = frozenset({"utf-8", "iso8859-1", "iso8859-15", "cp1252"})


def unpack(delivery: Delivery, source: Source) -> Unpacked | Problem:
    """All prospects; several are a batch. One sent again as `resend` is the same lead, though not the same text."""
    text = _text(delivery.body)
    if delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded") and "<" not in text:
        text = unquote_plus(text)
    found = read_adf(text)
    if not found:
        return _NONE
    if len(found) > MOST_ITEMS:
        return Problem(413, "too_many", f"a batch has at most {MOST_ITEMS} items, this one has {len(found)}")
    return Unpacked(tuple(_lead(one, source) for one in found), batch=len(found) > 1)


def _lead(prospect: Prospect, source: Source) -> Item:
    key = key_of(prospect.content, source) or prospect.key
    return Item("lead", mapped(prospect.content, source), prospect.raw, key, prospect.compared)


def _text(body: bytes) -> str:
    """The body as text, without NUL: by its BOM, as UTF-8, as it declares itself, else as Windows writes it."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", errors="replace").replace("\x00", "")
    try:
        return body.decode("utf-8-sig").replace("\x00", "")
    except UnicodeDecodeError:
        return body.decode(_declared(body), errors="replace").replace("\x00", "")


def _declared(body: bytes) -> str:
    found = _DECLARED.search(body[:200])
    try:
        name = codecs.lookup(found[1].decode()).name if found else ""
    except LookupError:
        name = ""
    return name if name in _TAKEN else "cp1252"
