"""What the webhooks of platforms have in common: JSON that is one notification or a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.intake.answers import Problem
from services.intake.arrival import Refused, refused
from services.intake.body import MOST_ITEMS, read_content
from services.intake.parse import Ambiguous, item_text
from services.intake.sources.protocol import Item, Unpacked
from services.intake.sources.source import Source
from services.intake.values import is_scalar


def notifications(body: bytes) -> list[Any] | Problem:
    """All notifications in a body, an array or a single one; each may be `Ambiguous`, or no object at all."""
    read = read_content("", body)  # they send JSON whatever they call it
    if isinstance(read, Problem):
        return read
    content, _ = read
    return content if isinstance(content, list) else [content]


def no_object(one: Any, place: str) -> Refused:
    """The refusal of something that should have been an object."""
    if isinstance(one, Ambiguous):
        return refused(place, "duplicate_key", f"{one.key[:100]} stands twice in it with different values")
    return refused(place, "not_an_object", f"{place or 'a notification'} must be a JSON object", item_text(one))


def all_answered(items: Iterable[Item | Refused], source: Source) -> Unpacked | Problem:
    """A batch, however few: a platform that gets anything but 200 sends the same again, and in the end nothing more.

    Without the activities that come along with its leads, where the source takes none.
    """
    takes = "activities" in source.accepts
    found = tuple(one for one in items if takes or isinstance(one, Refused) or one.kind != "activity")
    if len(found) > MOST_ITEMS:
        return Problem(413, "too_many", f"a batch has at most {MOST_ITEMS} items, this one has {len(found)}")
    return Unpacked(found, batch=True)


def scalars(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields that stand under these names, under our name for each, where they hold a value."""
    found = ((ours, content.get(theirs)) for theirs, ours in names.items())
    return {ours: value for ours, value in found if value is not None and is_scalar(value)}
