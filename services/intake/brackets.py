"""Names with brackets, as PHP programs and many form builders write them, as nested objects. Nothing is lost.

| fields                           | object                                                              |
| -------------------------------- | ------------------------------------------------------------------- |
| `data[email]=a`                  | `{"data": {"email": "a"}}`                                          |
| `q[]=1&q[]=2`, `q=1&q=2`         | `{"q": ["1", "2"]}`; only one: `{"q": "1"}`                         |
| `q[][n]=1&q[][n]=2`              | `{"q": [{"n": "1"}, {"n": "2"}]}`                                   |
| `a=1&a[b]=2`                     | `{"a": "1", "a[b]": "2"}`: what finds its place taken keeps its name |
| `a[b]=2&a=1`                     | `{"a": {"b": "2", "": "1"}}`                                        |
| `a[b`, `[a]`, `a[b]c`, too deep  | a field of that name                                                |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_MOST_LEVELS = 8
_MOST_KEYS = 2000  # beyond them names stay as they are written
_LONGEST = 500
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The fields of a form as one object. How many there may be is for whoever reads the form to say."""
    content: dict[str, Any] = {}
    keys = 0
    for name, value in pairs:
        path = _path(name)
        keys += len(path)
        if keys > _MOST_KEYS or not _put(content, path, value):
            _add(content, name, value)
    return content


def _path(name: str) -> list[str]:
    """The keys of a name, from the outside in; one alone where it is none of ours."""
    found = _NAME.fullmatch(name) if "[" in name and len(name) <= _LONGEST else None
    if not found:
        return [name]
    path = [found[1], *_PART.findall(found[2])]
    if not path[-1]:
        path.pop()  # `q[]`: one more of them
    return path if len(path) <= _MOST_LEVELS else [name]


def _put(content: dict[str, Any], path: list[str], value: str) -> bool:
    """Whether there was a place for it. Where there is none, nothing has changed."""
    here = content
    for n, key in enumerate(path[:-1]):
        if not key:
            continue
        inner: Any = _row(here, key) if not path[n + 1] else here.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        here = inner
    _add(here, path[-1], value)
    return True


def _row(here: dict[str, Any], key: str) -> dict[str, Any] | None:
    """A new object at the end of the list under this key; None where something else stands there."""
    rows = here.setdefault(key, [])
    if not isinstance(rows, list):
        return None
    rows.append({})
    new: dict[str, Any] = rows[-1]
    return new


def _add(here: dict[str, Any], key: str, value: str) -> None:
    present = here.get(key)
    if present is None:
        here[key] = value
    elif isinstance(present, list):
        present.append(value)
    elif isinstance(present, dict):
        _add(present, "", value)
    else:
        here[key] = [present, value]
