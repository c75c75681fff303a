"""What is wrong in a rule book, in words that need no knowledge of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

MOST_SHOWN = 80


def mistake(model: type[BaseModel], path: Sequence[Any], error: Any) -> str:
    """One error of a model's validation: what is wrong, what was found, what to do. A key is never shown."""
    fields = _fields(model, path)
    said = _words(model, path, error, fields)
    secret = any(field.repr is False for field in fields)
    found = "" if secret or error["type"] == "extra_forbidden" else f" (found {_short(error['input'])})"
    return f"{said}{found}; correct this value"


def _words(model: type[BaseModel], path: Sequence[Any], error: Any, fields: Sequence[FieldInfo]) -> str:
    if error["type"] == "extra_forbidden":
        known = [name for one in _models(_reached(model, path[:-1])) for name in one.model_fields]
        near = get_close_matches(str(path[-1]), known, 1)
        return f"there is no field `{path[-1]}`" + (f"; did you mean `{near[0]}`?" if near else "")
    if error["type"] == "string_pattern_mismatch" and fields and fields[-1].examples:
        return f"it must look like {fields[-1].examples[0]}"
    return str(error["msg"]).removeprefix("Value error, ")


def _short(found: object) -> str:
    text = re.sub(r"cdl_\w+", "cdl_...", repr(found))
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _fields(model: type[BaseModel], path: Sequence[Any]) -> list[FieldInfo]:
    """The fields along the path, as far as it names any."""
    steps = ((_models(_reached(model, path[:n])), part) for n, part in enumerate(path))
    return [one.model_fields[part] for models, part in steps for one in models if part in one.model_fields]


def _reached(annotation: Any, path: Sequence[Any]) -> Any:
    """What the model says that stands at the end of the path; a part that names nothing is a choice of a union."""
    for part in path:
        fields = [one.model_fields[part] for one in _models(annotation) if part in one.model_fields]
        annotation = tuple(field.annotation for field in fields) or annotation
    return annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation, be it a tuple, a dict or a union of them."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in annotation if isinstance(annotation, tuple) else get_args(annotation):
        yield from _models(part)
