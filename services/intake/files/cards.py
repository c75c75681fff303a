"""vCards, old and new: each card apart, so that one bad card costs one card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import vobject

from services.intake.files.encoding import Line
from services.intake.files.faults import BadRow

_HEAVY = re.compile(r"(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:]", re.IGNORECASE)
_MOST_CARD_CHARS = 200_000
_PREFERRED = {"CELL": 0, "WORK": 2, "HOME": 3, "VOICE": 4, "FAX": 9, "PAGER": 9}


def cards(lines: Iterable[Line]) -> Iterator[tuple[int, str] | BadRow]:
    """The text of each card with the number of its first line; pictures and keys are left out."""
    kept: list[str] = []
    began, size, heavy = 0, 0, False
    for line in lines:
        text = "" if line.text is None else line.text.rstrip("\r\n").lstrip("\ufeff")
        mark = text.strip().upper()
        if mark == "BEGIN:VCARD":
            if began:
                yield BadRow(began, (), "no_end", "the card has no END:VCARD")
            kept, began, size, heavy = [], line.number, 0, False
        if not began:
            continue
        heavy = (heavy and text[:1] in (" ", "\t", "")) or _HEAVY.match(text) is not None or line.text is None
        if not heavy:
            kept.append(text)
            size += len(text) + 2
        if mark == "END:VCARD":
            yield (began, "\r\n".join(kept)) if size <= _MOST_CARD_CHARS else _too_large(began)
            began = 0
        elif size > _MOST_CARD_CHARS:
            kept = kept[:1]
    if began:
        yield BadRow(began, (), "no_end", "the card has no END:VCARD: the file may be cut off")


def card_fields(text: str) -> Mapping[str, str]:
    """One card under our names of its fields; what has none keeps the card's. Raises `ValueError`."""
    try:
        card: Any = vobject.readOne(text, allowQP=True)
    except (vobject.base.VObjectError, ValueError, IndexError, AttributeError, TypeError, LookupError) as error:
        raise ValueError(f"the card cannot be read: {type(error).__name__}") from None
    if card is None or card.name != "VCARD":
        raise ValueError("there is no card in it")
    found: dict[str, str] = {}
    for name, value in (*_names(card), *_addresses(card), *_others(card)):
        plain = " ".join(value.split()) if name != "message" else value.strip()
        if plain:
            found.setdefault(name, plain)
    return found


def _too_large(number: int) -> BadRow:
    return BadRow(number, (), "too_large", f"the card has more than {_MOST_CARD_CHARS} characters without its pictures")


def _names(card: Any) -> Iterator[tuple[str, str]]:
    for line in card.contents.get("fn", ()):
        yield "name", line.value
    for line in card.contents.get("n", ()):
        parts = line.value
        yield "given_name", _joined(parts.given, parts.additional)
        yield "family_name", _joined(parts.family)
        yield "name", _joined(parts.prefix, parts.given, parts.additional, parts.family, parts.suffix)
    for line in card.contents.get("org", ()):
        organisation = line.value if isinstance(line.value, list) else [line.value]
        yield "company", organisation[0]
        yield "department", ", ".join(filter(None, organisation[1:]))
    for line in card.contents.get("title", ()):
        yield "job_title", line.value


def _addresses(card: Any) -> Iterator[tuple[str, str]]:
    for kind, ours in (("email", "email"), ("tel", "phone")):
        for n, line in enumerate(sorted(card.contents.get(kind, ()), key=_rank), start=1):
            yield ours if n == 1 else f"{ours}_{n}", line.value.removeprefix("tel:").removeprefix("mailto:")
    for line in sorted(card.contents.get("adr", ()), key=_rank)[:1]:
        at = line.value
        yield "street", _joined(at.street, at.extended, at.box)
        for ours, value in (("city", at.city), ("region", at.region), ("postcode", at.code), ("country", at.country)):
            yield ours, _joined(value)


def _others(card: Any) -> Iterator[tuple[str, str]]:
    for line in card.contents.get("note", ()):
        yield "message", line.value
    for name in ("url", "role", "bday", "lang", "categories", "nickname"):
        for line in card.contents.get(name, ()):
            value = line.value
            yield "language" if name == "lang" else name, ", ".join(value) if isinstance(value, list) else str(value)


def _rank(line: Any) -> int:
    """Preferred ones first, then mobile before work before home; a fax last."""
    types = {t.upper() for values in line.params.values() for t in values} | {t.upper() for t in line.singletonparams}
    pref = line.params.get("PREF", [""])[0]
    if "PREF" in types or pref:
        return int(pref[:3]) - 1000 if pref.isdecimal() else -1000
    return min((_PREFERRED.get(kind, 5) for kind in types), default=5)


def _joined(*parts: Any) -> str:
    flat = (piece for part in parts for piece in (part if isinstance(part, list) else [part]))
    return " ".join(piece for piece in flat if piece)
