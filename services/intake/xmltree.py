"""XML as nested objects, for tools that post it. No DTD, no entities, nothing outside is ever read.

| written                          | read                                                       |
| -------------------------------- | ---------------------------------------------------------- |
| `<lead><email>a</email></lead>`  | `{"email": "a"}`: the root's name says nothing             |
| `<phone type="home">1</phone>`   | `{"phone": {"@type": "home", "#text": "1"}}`               |
| `<tag>a</tag><tag>b</tag>`       | `{"tag": ["a", "b"]}`                                      |
| `<c:name xmlns:c="...">`         | `name`                                                     |
| `<xi:include href="...">`        | `{"include": {"@href": "..."}}`: words like any other      |
| `<note/>`                        | `{"note": ""}`                                             |
| `<!DOCTYPE ...>`                 | 400 `bad_xml`, whatever it declares                        |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from services.intake.parse import Unparsed

MOST_BYTES = 262_144
_BOMS_16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_LEVELS = 50
_MOST_NODES = 5000  # elements and attributes together


class _TooMuch(Exception):
    """The document is larger than one lead can be; the text says in what."""


@dataclass(slots=True)
class _Element:
    name: str
    content: dict[str, Any]
    texts: list[str] = field(default_factory=list)

    def value(self) -> dict[str, Any] | str:
        written = "".join(self.texts).strip()
        if not self.content:
            return written
        return {**self.content, "#text": written} if written else self.content


class _Tree:
    """What the parser tells of the document becomes objects at once, so that the limits end it in the middle."""

    def __init__(self) -> None:
        self._open = [_Element("", {})]
        self._nodes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if self._nodes > _MOST_NODES:
            raise _TooMuch(f"it has more than {_MOST_NODES} elements and attributes")
        if len(self._open) > _MOST_LEVELS:
            raise _TooMuch(f"it is nested more than {_MOST_LEVELS} levels deep")
        content: dict[str, Any] = {}
        for key, value in attributes.items():
            content.setdefault(f"@{_local(key)}", value)
        self._open.append(_Element(_local(name), content))

    def data(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def end(self, _name: str) -> None:
        done = self._open.pop()
        siblings, value = self._open[-1].content, done.value()
        present = siblings.get(done.name)
        if isinstance(present, list):
            present.append(value)
        else:
            siblings[done.name] = value if present is None else [present, value]

    def close(self) -> dict[str, Any]:
        (root,) = self._open[0].content.values()
        return root if isinstance(root, dict) else {"#text": root}


def parse_xml(body: bytes) -> dict[str, Any] | Unparsed:
    """The content of the root element, or why there is none; of at most 256 KB, 50 levels and 5,000 nodes."""
    if len(body) > MOST_BYTES:
        return _unparsed(f"it is larger than {MOST_BYTES} bytes")
    parser = DefusedXMLParser(target=_Tree(), forbid_dtd=True)
    try:
        parser.feed(body)
        return cast(dict[str, Any], parser.close())
    except DefusedXmlException:
        return _unparsed("a document type, entities and external references are not taken")
    except _TooMuch as error:
        return _unparsed(str(error))
    except ParseError as error:
        return _unparsed(f"it ends or breaks at line {error.position[0]}, column {error.position[1]}")
    except (ValueError, LookupError):
        return _unparsed("its encoding is not known; send UTF-8")


def xml_text(body: bytes) -> str:
    """A document that was read, as text that any store takes, whatever its encoding."""
    if body.startswith(_BOMS_16):
        return body.decode("utf-16", "replace")
    try:
        return body.decode().replace("\x00", "")
    except UnicodeDecodeError:
        return body.decode("latin-1").replace("\x00", "")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _unparsed(why: str) -> Unparsed:
    return Unparsed("bad_xml", f"the XML cannot be read: {why}")
