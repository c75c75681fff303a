"""ADF, the XML of car leads: read as it is sent, which is often no XML at all.

Nothing is validated or fetched, and no entity is resolved but numbers and the letters that HTML knows. Tags may be in
capitals, attributes bare, `&` alone, elements left open; text before and after is passed over; each `<prospect>` is one
lead.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise

from pydantic_core import to_json

from services.intake.values import key_text

MOST_PROSPECTS = 10_000
_NOT_COMPARED = frozenset({"occurred_at", "adf_status"})
_MOST_LEVELS = 50
_LONGEST = 262_144  # characters of one prospect
_TOKEN = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,63}+)([^<>]{0,8192}+)>|<[?!][^<>]{0,8192}+>")
_ATTRIBUTE = re.compile(
    r"""(?<![\w:.-])([\w:.-]{1,64}+)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))"""  # each name is tried once
)
_LONG_NUMBER = re.compile(r"&#[0-9]{11,}+")  # Python reads numbers of at most 4,300 digits
_PROSPECT = re.compile(r"<prospect(?=[\s>/])", re.IGNORECASE)
_LEAF_NAMES = (
    "id requestdate year make model vin stock trim doors bodystyle transmission odometer condition price comments "
    "name email phone street apartment city regioncode postalcode country description earliestdate latestdate "
    "vendorname url service interiorcolor exteriorcolor preference method amount balance"
)
_BRANCH_NAMES = (
    "adf prospect vehicle customer contact address timeframe vendor provider finance colorcombination option"
)
_LEAVES = frozenset(_LEAF_NAMES.split())
_KNOWN = _LEAVES | frozenset(_BRANCH_NAMES.split())
_PHONES = ("cellphone", "mobile", "cell", "voice", "home", "work", "business", "phone", "")
_DATE = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[T ]+(\d\d?):(\d\d?)(?::(\d\d?))?(?:\.\d+)?\s*(?:(Z)|([+-])(\d\d?):?(\d{0,2}))?)?"
)


@dataclass(slots=True)
class _Node:
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: list[_Node] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts).strip()

    def all(self, path: str) -> Iterator[_Node]:
        """Nodes under this one by their path of names."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.all(rest) if rest else (child,)

    def first(self, path: str) -> str:
        """The first text that is not empty under this path."""
        return next((node.text for node in self.all(path) if node.text), "")


@dataclass(frozen=True, slots=True)
class Prospect:
    """One prospect: its fields, under our names where we have one; its text; its sender's own id, with who gave it."""

    content: Mapping[str, str]
    raw: str
    key: str | None

    @property
    def compared(self) -> str:
        """What must be the same when it comes again: all but when it was sent, and that it is a `resend`."""
        return to_json(
            {name: self.content[name] for name in sorted(self.content) if name not in _NOT_COMPARED}
        ).decode()


def read_adf(text: str) -> list[Prospect]:
    """All prospects in a text, in its order, at most 10,000; none where it holds none."""
    return list(islice(prospects(text), MOST_PROSPECTS))


def prospects(text: str) -> Iterator[Prospect]:
    """The same one by one, however many there are."""
    if not _PROSPECT.search(text) and "&lt;prospect" in text.lower():
        text = _unescaped(text)  # a mail that shows the XML instead of carrying it
    starts = [match.start() for match in _PROSPECT.finditer(text)]
    for start, end in pairwise([*starts, len(text)]):
        yield _prospect(_closed(text[start : min(end, start + _LONGEST)]))


def _closed(piece: str) -> str:
    """A prospect's own text: up to its end, the document's end, or the most that one may have."""
    for end in ("</prospect>", "</adf>"):
        place = piece.lower().find(end)
        if place >= 0:
            return piece[: place + len(end)] if end == "</prospect>" else piece[:place]
    return piece


def _prospect(raw: str) -> Prospect:
    node = next(iter(_tree(_without_comments(raw)).children), _Node("prospect"))
    found: dict[str, str] = {}
    for name, value in (*_customer(node), *_vehicles(node), *_rest(node)):
        if plain := value.strip():
            found.setdefault(name, plain)
    return Prospect(found, raw, _key(node))


def _key(prospect: _Node) -> str | None:
    """The first id that is not empty, with its source, else with the provider that gave it."""
    for node in prospect.all("id"):
        if node.text:
            by = node.attributes.get("source") or prospect.first("provider/name")
            return key_text(f"adf|{by}|{node.text}")
    return None


def _unescaped(text: str) -> str:
    """Entities as letters; a number that no letter has, however long, is the replacement character."""
    return html.unescape(_LONG_NUMBER.sub("&#9999999999", text))


def _without_comments(text: str) -> str:
    """Comments taken out and CDATA made plain text; one that never ends is left as it is."""
    for opening, closing, keep in (("<!--", "-->", False), ("<![CDATA[", "]]>", True)):
        parts, at = [], 0
        while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
            inside = text[start + len(opening) : end]
            parts += [text[at:start], html.escape(inside) if keep else " "]
            at = end + len(closing)
        text = "".join((*parts, text[at:]))
    return text


def _tree(text: str) -> _Node:
    """The elements as a tree, whatever is missing: an end closes what is open in it, a leaf ends where a tag begins."""
    root = _Node("")
    open_nodes, at = [root], 0
    for token in _TOKEN.finditer(text):
        open_nodes[-1].texts.append(_unescaped(text[at : token.start()]))
        at = token.end()
        name = (token[2] or "").lower().rpartition(":")[2]
        if not name:
            continue
        if token[1]:
            _close(open_nodes, name)
            continue
        if open_nodes[-1].name in _LEAVES:
            if name not in _KNOWN:
                continue  # markup within a text
            open_nodes.pop()
        node = _Node(name, _attributes(token[3]))
        open_nodes[-1].children.append(node)
        if not token[3].endswith("/") and len(open_nodes) < _MOST_LEVELS:
            open_nodes.append(node)
    open_nodes[-1].texts.append(_unescaped(text[at:]))
    return root


def _attributes(written: str) -> Mapping[str, str]:
    return {a[1].lower(): _unescaped(a[2] or a[3] or a[4] or "") for a in _ATTRIBUTE.finditer(written)}


def _close(open_nodes: list[_Node], name: str) -> None:
    """Close the innermost open element of this name and what is open in it; an end without a beginning is nothing."""
    place = next((n for n in range(len(open_nodes) - 1, 0, -1) if open_nodes[n].name == name), None)
    if place is not None:
        del open_nodes[place:]


def _customer(prospect: _Node) -> Iterator[tuple[str, str]]:
    for contact in prospect.all("customer/contact"):
        yield from _names(contact)
        for n, email in enumerate(contact.all("email"), start=1):
            yield "email" if n == 1 else f"email_{n}", email.text
        for n, phone in enumerate(sorted(contact.all("phone"), key=_rank), start=1):
            yield "phone" if n == 1 else f"phone_{n}", phone.text
            yield "phone_time", phone.attributes.get("time", "")
        preferred = [node.name for node in contact.children if node.attributes.get("preferredcontact") in ("1", "yes")]
        yield "preferred_contact", ", ".join(preferred)
        yield "street", ", ".join(node.text for node in contact.all("address/street") if node.text)
        for ours, theirs in (("city", "city"), ("region", "regioncode"), ("postcode", "postalcode")):
            yield ours, contact.first(f"address/{theirs}")
        yield "country", contact.first("address/country")
    yield "message", prospect.first("customer/comments")
    yield "urgency", prospect.first("customer/timeframe/description")
    for name in ("earliestdate", "latestdate"):
        yield name, prospect.first(f"customer/timeframe/{name}")


def _names(contact: _Node) -> Iterator[tuple[str, str]]:
    parts = {"first": "given_name", "last": "family_name", "surname": "family_name", "middle": "middle_name"}
    for node in contact.all("name"):
        if node.attributes.get("type", "").lower() == "business":
            yield "company", node.text
        else:
            yield parts.get(node.attributes.get("part", "full").lower(), "name"), node.text


def _rank(phone: _Node) -> int:
    kind = phone.attributes.get("type", "").lower()
    return _PHONES.index(kind) if kind in _PHONES else len(_PHONES)


def _vehicles(prospect: _Node) -> Iterator[tuple[str, str]]:
    """The first vehicle is the product; further ones, and what else is said of each, are answers."""
    for n, vehicle in enumerate(list(prospect.all("vehicle"))[:10], start=1):
        called = " ".join(filter(None, (vehicle.first(name) for name in ("year", "make", "model", "trim"))))
        prefix = "vehicle" if n == 1 else f"vehicle_{n}"
        yield "product" if n == 1 else prefix, called
        for name in ("interest", "status"):
            yield f"{prefix}_{name}", vehicle.attributes.get(name, "")
        for name in ("vin", "stock", "bodystyle", "odometer", "condition", "price", "comments"):
            yield f"{prefix}_{name}", vehicle.first(name)


def _rest(prospect: _Node) -> Iterator[tuple[str, str]]:
    yield "occurred_at", _moment(prospect.first("requestdate"))
    yield "adf_status", prospect.attributes.get("status", "")
    yield "vendor", prospect.first("vendor/vendorname")
    yield "provider", prospect.first("provider/name")
    yield "service", prospect.first("provider/service")


def _moment(written: str) -> str:
    """ISO 8601, from `2008-06-25T8:47:50` and `2000-03-30T15:30:20-08:0` too; as it is where it is no such thing."""
    found = _DATE.match(written)
    if not found:
        return written
    year, month, day, hour, minute, second, utc, sign, hours, minutes = found.groups()
    date = f"{year}-{int(month):02}-{int(day):02}"
    if hour is None:
        return date
    zone = "+00:00" if utc else f"{sign}{int(hours):02}:{int(minutes or 0):02}" if sign else ""
    return f"{date}T{int(hour):02}:{int(minute):02}:{int(second or 0):02}{zone}"
