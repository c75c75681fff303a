"""Values as senders write them, made plain: text, truth, amounts, moments."""

from __future__ import annotations

import math
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

_YES_MARKS = frozenset("1ysjx✓✔✅☑")  # alone, since they begin many a sentence
_NO_MARKS = frozenset("0n-–—✗✘❌☐")
_YES_WORDS = (
    "true verdadero verdadeiro wahr vrai vero yes yep si sí sì oui ja sim on ok okay checked ticked selected marcado "
    "subscribed suscrito opted_in optin opt-in granted accepted accept agree agreed consent acepto acepta aceptado "
    "aceptada autorizo autoriza autorizado autorizada consiento consentido concedido accepte accepté aceito "
    "accetto akzeptiert zugestimmt"
)
_NO_WORDS = (
    "false falso falsch faux no nope non nein não nao nee not off never nunca unchecked unticked unsubscribed "
    "opted_out optout opt-out refused rejected denied declined withdrawn rechazo rechaza rechazado rechazada denegado "
    "abgelehnt refusé"
)
_DENYING_WORDS = "no not non nicht kein keine pas não nao never nunca don't dont"
_YES, _NO = frozenset(_YES_WORDS.split()), frozenset(_NO_WORDS.split())
_DENIALS = frozenset(_DENYING_WORDS.split())
_WORDS = re.compile(r"\w[\w'’-]*")
_AROUND = " \t\r\n.,;:!¡?¿()[]{}\"'*\ufe0f"
_SCALARS = (str, int, float)  # a union in its place would be built anew at every call
_NUMBER = re.compile(r"[0-9][0-9.,' ]{0,30}")
_EXACT = 2**53  # a double holds whole numbers up to here
_LONGEST_KEY = 255
_EPOCH_MS = 100_000_000_000  # a larger number of seconds would lie after the year 5000


def is_scalar(value: Any) -> bool:
    """Whether a value can stand in one field."""
    return value is None or isinstance(value, _SCALARS)


def text(value: Any, limit: int = 200) -> str | None:
    """A scalar as trimmed text of at most `limit` characters, without NUL (PostgreSQL takes none); empty is None.

    `34600000012.0`, as tables write a phone, is `34600000012`; a number beyond every double is None.
    """
    if not isinstance(value, str):
        if value is None:
            return None
        if isinstance(value, float):
            if not math.isfinite(value):
                return None
            value = int(value) if value.is_integer() and abs(value) < _EXACT else value
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if "\x00" in value:
        value = value.replace("\x00", "")
    return value.strip()[:limit].rstrip() or None


def key_text(value: Any) -> str | None:
    """A sender's own id as text; one of more than 255 characters is its SHA-256 in hex, so that no two become one."""
    whole = text(value, sys.maxsize)
    return whole if whole is None or len(whole) <= _LONGEST_KEY else sha256(whole.encode()).hexdigest()


def truth(value: Any) -> bool:
    """Whether a box counts as ticked: yes, on, 1, true, sí, x, ✓."""
    return value is not None and answered(value) is True


def answered(value: Any) -> bool | None:
    """Whether people and spreadsheets mean yes or no by it; nothing at all is a no, any other word is None.

    The first word counts, its case and marks do not: `Sí, acepto`, `VERDADERO`, `[x]`, `No acepto`. A yes that goes
    on with a denial is None, and so are figures and single letters that do not stand alone.
    """
    plain = text(value)
    return False if plain is None else _answered(plain)


@lru_cache(maxsize=1024)  # whose keys stay: they have 200 characters at most
def _answered(plain: str) -> bool | None:
    bare = plain.lower().strip(_AROUND)
    if bare in _YES_MARKS or bare in _NO_MARKS:
        return bare in _YES_MARKS
    first, *others = _WORDS.findall(bare.removeprefix("i ").removeprefix("j'").removeprefix("j’")) or [""]
    if first in _NO:
        return False
    return True if first in _YES and _DENIALS.isdisjoint(others) else None


def amount(written: str | None) -> float | None:
    """The first number in a text, in European or English notation: `1.500,50 €`, `$1,500.50`, `1500`."""
    found = _NUMBER.search(written) if written else None
    if not found:
        return None
    digits = found.group().replace(" ", "").replace("'", "").rstrip(".,")
    mark = max(digits.rfind("."), digits.rfind(","))
    if mark >= 0 and (_only_groups(digits) or mark == -1):
        return float(re.sub("[.,]", "", digits))
    whole, fraction = (digits[:mark], digits[mark + 1 :]) if mark >= 0 else (digits, "")
    number = float(f"{re.sub('[.,]', '', whole) or '0'}.{fraction or '0'}")
    return number if math.isfinite(number) else None


def _only_groups(digits: str) -> bool:
    """Whether every mark parts thousands: one kind of mark, three digits after each."""
    first, *groups = re.split("[.,]", digits)
    one_kind = not ("." in digits and "," in digits)
    return one_kind and 0 < len(first) <= 3 and first != "0" and all(len(group) == 3 for group in groups)


def moment(written: str | None, latest: datetime) -> datetime:
    """ISO 8601 text or a Unix time in seconds or milliseconds; `latest` where it is unreadable or lies after it."""
    read = read_moment(written)
    return latest if read is None else min(read, latest)


def read_moment(written: str | None) -> datetime | None:
    """The moment a text names, in UTC; None where it names none."""
    if not written:
        return None
    try:
        if written.replace(".", "", 1).isdecimal():
            number = float(written)
            read = datetime.fromtimestamp(number / 1000 if number > _EPOCH_MS else number, UTC)
        else:
            read = datetime.fromisoformat(written)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
