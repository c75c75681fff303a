"""Dotted paths into what a sender wrote: `entry.0.value`, `form_response.token`."""

from __future__ import annotations

from typing import Any


def at(content: Any, path: str) -> Any:
    """What stands there, or None. A name that itself holds dots counts where it is given whole."""
    if isinstance(content, dict) and path in content:
        return content[path]
    for step in path.split("."):
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content
