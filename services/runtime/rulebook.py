"""Rule books: YAML parsed into a frozen model, with errors that name file, line and remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from services.runtime.bookmistakes import mistake
from services.runtime.errors import RulesInvalid
from services.runtime.verdict import Book

MERGE = "tag:yaml.org,2002:merge"


def book_version(book: str, body: str) -> str:
    """Name of this text as a version of the book: its digest, so that the same text is the same version."""
    return f"{book}-{hashlib.sha256(body.encode()).hexdigest()[:10]}"


def parse_book(book: str, body: str, model: type[BaseModel], file: str | None = None) -> Book:
    """The rules in force once this text is activated. Raises `RulesInvalid` naming file, line and remedy."""
    where = file or f"book {book}"
    try:
        root = yaml.compose(body, Loader=yaml.SafeLoader)
        content = yaml.safe_load(body)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise RulesInvalid(
            f"{where}{line}: not valid YAML ({getattr(error, 'problem', error)}); mend that line"
        ) from error
    try:
        return Book(book_version(book, body), model.model_validate(content))
    except ValidationError as error:
        raise RulesInvalid("\n".join(_explain(where, root, model, item) for item in error.errors())) from error


def refuse_names_twice(book: str, body: str, file: str | None = None) -> None:
    """Raises `RulesInvalid` for two entries of one name, of which YAML would keep the last only.

    Asked before a text is published, not of what is on the log: that stays readable.
    """
    where = file or f"book {book}"
    twice = [
        f"{where}:{again}: {name} stands twice, first at line {first}, and only the last would count; remove one"
        for name, first, again in _twice(yaml.compose(body, Loader=yaml.SafeLoader), set())
    ]
    if twice:
        raise RulesInvalid("\n".join(twice))


def _twice(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Name, first line and later line of each entry whose name its mapping holds already."""
    if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    first: dict[tuple[str, str], int] = {}
    for key in [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []:
        if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
            continue
        line = key.start_mark.line + 1
        if (key.tag, key.value) in first:
            yield key.value, first[key.tag, key.value], line
        first.setdefault((key.tag, key.value), line)
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _twice(part, seen)


def _explain(where: str, root: yaml.Node | None, model: type[BaseModel], item: Any) -> str:
    path = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    dotted = ".".join(map(str, path)) or "the file"
    return f"{where}:{_line(root, path)}: {dotted}: {mistake(model, path, item)}"


def _line(node: yaml.Node | None, path: Sequence[Any]) -> int:
    """Line of the deepest node on the path that exists, counted from 1."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            child = next((value for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
        if child is None:
            break
        node, line = child, child.start_mark.line + 1
    return line
