"""Dotted paths into what a sender wrote: `entry.0.value`, `form_response.token`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from services.intake.values import is_scalar, text

_INDEX = re.compile(r"[0-9]{1,9}")
_MOST_LEVELS = 20
_MOST_OF_A_LIST = 50


def at(content: Any, path: str) -> Any:
    """What stands there, or None. A name that itself holds dots counts where it is given whole."""
    if isinstance(content, dict) and path in content:
        return content[path]
    for step in path.split("."):
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and _INDEX.fullmatch(step) and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def plain(value: Any) -> Any:
    """A scalar; of a list its only scalar, or all joined; of anything else None."""
    if isinstance(value, list):
        scalars = [one for one in value if is_scalar(one) and one is not None]
        return scalars[0] if len(scalars) == 1 else ", ".join(filter(None, map(text, scalars))) or None
    return value if is_scalar(value) else None


def leaves(content: Mapping[str, Any], before: str = "", levels: int = _MOST_LEVELS) -> Iterator[tuple[str, Any]]:
    """Every scalar and list of scalars with its dotted name; what lies too deep is left whole.

    The only object of a list counts as if it stood alone, several are numbered; an XML element's text has its name.
    """
    for name, value in content.items():
        here = before.removesuffix(".") if name == "#text" and before else f"{before}{name}"
        inner = _inner(value) if levels else None
        if inner is None:
            yield here, value
        else:
            yield from leaves(inner, f"{here}.", levels - 1)


def _inner(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or all(map(is_scalar, value)):
        return None
    if len(value) == 1 and isinstance(value[0], dict):
        return value[0]
    return {str(n): one for n, one in enumerate(value[:_MOST_OF_A_LIST])}
