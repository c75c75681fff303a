"""Rule books: YAML parsed into a frozen model, with errors that name file, line and remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from services.runtime.errors import RulesInvalid
from services.runtime.verdict import Book


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
        raise RulesInvalid("\n".join(_explain(where, root, item) for item in error.errors())) from error


def _explain(where: str, root: yaml.Node | None, item: Any) -> str:
    path = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    dotted = ".".join(map(str, path)) or "the file"
    return f"{where}:{_line(root, path)}: {dotted}: {item['msg']} (found {item['input']!r}); correct this value"


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
