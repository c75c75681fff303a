"""Letters: a template and a lead's data become subject, text and HTML in one language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

_FORBIDDEN = ("://", "www.", "@", "http", "<", ">", "{", "}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail's words."""

    subject: str
    text: str
    html: str


def plain(value: str | None, longest: int = 60) -> str:
    """A lead's own words on one line, or nothing when they are too long for a name or carry a link or markup.

    Otherwise anybody could have us mail an advertisement to a third person by giving it as that person's name.
    """
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value or "")
    line = " ".join(kept.split())
    return "" if len(line) > longest or any(mark in line.lower() for mark in _FORBIDDEN) else line


class Letters:
    """Compiled templates: `<name>.<language>.j2` holds the words, `html.j2` and `text.j2` the form."""

    def __init__(self, folder: str = "") -> None:
        built_in = PackageLoader("services.nurture", "templates")
        loader = ChoiceLoader([FileSystemLoader(folder), built_in]) if folder else built_in
        self._html = _environment(loader, autoescape=True)
        self._text = _environment(loader, autoescape=False)
        self._subject = lru_cache(maxsize=256)(self._text.from_string)

    def write(self, template: str, language: str, subject: str, data: Mapping[str, object]) -> Letter:
        """The letter. Raises `jinja2.TemplateError` when a template is missing or does not fit its data."""
        name = f"{template}.{language}.j2"
        line = " ".join(self._subject(subject).render(data).split())
        html = _render(self._html, name, "html.j2", {**data, "subject": line, "language": language})
        text = _render(self._text, name, "text.j2", {**data, "subject": line, "language": language})
        return Letter(line, re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n", html.strip() + "\n")


def _environment(loader: PackageLoader | ChoiceLoader, *, autoescape: bool) -> Environment:
    return ImmutableSandboxedEnvironment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        auto_reload=False, cache_size=400,
    )  # fmt: skip


def _render(environment: Environment, name: str, form: str, data: Mapping[str, object]) -> str:
    template: Template = environment.get_template(name)
    return template.render({**data, "form": form})
