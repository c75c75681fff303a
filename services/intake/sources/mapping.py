"""From one item as its sender wrote it to flat fields under our names: a source's map, as data.

Order: the item is spread to one flat object (`json_fields`, `nested`, `lift`, `pairs`); `fields` are looked up in it by
dotted path, case and accents aside; the others have our name where theirs is a usual one, and are answers under their
dotted name elsewhere, but for what `drop` names; `constants` count over what was sent, `defaults` only where nothing
was. The page that a form stands on brings the campaign in its address.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.intake.fields import CLICK_IDS, FIELDS, canonical, canonical_path, folded
from services.intake.normalise import email
from services.intake.sources.consents import consents_of
from services.intake.sources.paths import at, leaves, plain
from services.intake.sources.source import Source
from services.intake.sources.spreading import spread
from services.intake.values import is_scalar, key_text

_SINGLE = frozenset({"email", "phone"})  # of several the first; of other fields all, joined
_OF_A_PAGE = ("channel", "campaign", "medium", "term", "content", *CLICK_IDS)

_PARTS = (
    "fields", "pairs", "json_fields", "constants", "defaults", "drop", "lift", "consents", "underscores",
    "email_by_shape",
)  # fmt: skip
"""What a source's map consists of."""


def mapped(content: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The item's fields: ours by our names, all others by their own, dotted."""
    flat = spread(content, source)
    found: dict[str, Any] = {}
    used = _by_map(flat, content, source, found)
    for name, value in leaves({n: v for n, v in flat.items() if n not in used and folded(n) != "consents"}):
        if name not in used and not _dropped(name, source):
            _put(found, canonical_path(name), name, value)
    given = flat.get("consents")
    told = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    if told or (told := consents_of(flat, source)):
        found["consents"] = told
    _read_address(found)
    if source.email_by_shape and "email" not in found:
        _find_email(found)
    _read_page(found)
    return source.defaults | found | source.constants


def by_map(content: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """The item's fields by the source's map where it has one, else as they came."""
    return mapped(content, source) if any(getattr(source, part) for part in _PARTS) else content


def key_of(content: Mapping[str, Any], source: Source) -> str | None:
    """The sender's own id of the item, a number or a text alike."""
    value = at(content, source.id_field) if source.id_field else None
    return key_text(value) if is_scalar(value) else None


def _by_map(flat: Mapping[str, Any], content: Mapping[str, Any], source: Source, found: dict[str, Any]) -> set[str]:
    """Put what `fields` names; the names that are done with."""
    written = {folded(name): name for name in flat}
    used = {name for name in (source.id_field, source.test_field) if name}
    for path, ours in source.fields.items():
        name = path if at(flat, path) is not None else written.get(folded(path), path)
        used.add(name)
        if ours not in found or not _dropped(name, source):
            _put(found, ours, name, plain_or_list(at(flat, name)))
    if source.test_field:
        _put(found, "is_test", source.test_field, plain(at(content, source.test_field)))
    return used


def plain_or_list(value: Any) -> Any:
    """A value that can stand in one field, or a list that can be joined to one."""
    return value if isinstance(value, list) else plain(value)


def _put(found: dict[str, Any], ours: str | None, name: str, value: Any) -> None:
    """Put a value under our name, or its own where that is taken."""
    several = [one for one in value if one not in (None, "")] if isinstance(value, list) else []
    if ours in _SINGLE and len(several) > 1:
        for n, other in enumerate(several[1:], 2):
            found.setdefault(f"{name} {n}", plain(other))
        value = several[0]
    value = plain_or_whole(value)
    if value is not None:
        found.setdefault(name if ours is None or ours in found else ours, value)


def plain_or_whole(value: Any) -> Any:
    """A value for one field; what lies too deep to be one stays as it is."""
    return value if isinstance(value, dict) else plain(value)


def _dropped(name: str, source: Source) -> bool:
    hidden = source.signature.field if source.signature else None
    return (hidden is not None and name.lower() == hidden.lower()) or any(fnmatchcase(name, one) for one in source.drop)


def _read_address(found: dict[str, Any]) -> None:
    """`Ana Soto <ana@example.com>`, as mail programs write a sender, is an address and a name."""
    written = found.get("email")
    if isinstance(written, str) and "<" in written:
        name, address = parseaddr(written[:1000])
        if address:
            found["email"] = address
            if name:
                found.setdefault("name", name)


def _find_email(found: dict[str, Any]) -> None:
    """The only answer that is an e-mail address is the person's, where none was named."""
    others = [(name, value) for name, value in found.items() if name not in FIELDS and isinstance(value, str)]
    there = [(name, value) for name, value in others if "@" in value and email(value)[0]]
    if len(there) == 1:
        name, found["email"] = there[0]
        del found[name]


def _read_page(found: dict[str, Any]) -> None:
    """Campaign and click from the address of the page, where the sender gives them nowhere else."""
    page = found.get("landing_page")
    try:
        query = urlsplit(page).query if isinstance(page, str) else ""
        pairs = parse_qsl(query, max_num_fields=100)
    except ValueError:
        return
    for name, value in pairs:
        ours = canonical(name) if name.startswith("utm_") or name in CLICK_IDS else None
        if ours in _OF_A_PAGE and value:
            found.setdefault(ours, value)
