"""Whether a name can be somebody's. In doubt it can: names are as many as people, in every script."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas.events.leads import Quality

_ROWS = ("qwertyuiop", "asdfghjklñ", "zxcvbnm", "qwertzuiop", "azertyuiop", "qsdfghjklm", "йцукенгшщз", "фывапролдж")
_STARTS = frozenset(row[:end] for row in _ROWS for end in range(3, len(row) + 1))
_RUNS = frozenset(
    run[begin:end]
    for row in _ROWS
    for run in (row, row[::-1])
    for begin in range(len(run))
    for end in range(begin + 5, len(run) + 1)
)
_FILLED_IN = frozenset(
    ["test", "tests", "testing", "tester", "prueba", "pruebas", "probando", "teste", "essai", "testo", "null", "none",
     "undefined"])  # fmt: skip
_ADDRESS = re.compile(r"\S@\S|://|\bwww\.", re.IGNORECASE)
_LONGEST = 200


@lru_cache(maxsize=4096)
def name_quality(full_name: str | None) -> Quality:
    """`missing`; `implausible`: no letter, an address or URL, one letter again and again, a keyboard's row, "test"."""
    written = (full_name or "").strip()[:_LONGEST]
    if not written:
        return "missing"
    words = [word if word.isalpha() else "".join(filter(str.isalpha, word)) for word in written.casefold().split()]
    words = [word for word in words if word]
    nobody = not words or _ADDRESS.search(written) or all(word in _FILLED_IN for word in words)
    return "implausible" if nobody or _one_letter(words) or any(map(_mashed, words)) else "ok"


def _one_letter(words: list[str]) -> bool:
    letters = "".join(words)
    return len(letters) > 2 and len(set(letters)) == 1


def _mashed(word: str) -> bool:
    """Whether it is a run along a keyboard: five keys anywhere, four from a row's left end, three of them repeated."""
    unit = word[: (word + word).find(word, 1)]
    enough = 4 if unit == word else 3
    return unit in _RUNS or (len(unit) >= enough and unit in _STARTS)
