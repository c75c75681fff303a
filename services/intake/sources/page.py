"""The page of a source, made from its description, that tells its sender how to post. It shows no key and no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape
from starlette.responses import Response

from services.intake.body import MOST_BYTES, MOST_ITEM_BYTES, MOST_ITEMS
from services.intake.fields import FIELDS
from services.intake.language import language_of
from services.intake.sources.examples import Example, example_for
from services.intake.sources.presets import presets
from services.intake.sources.source import Source

ERRORS = (
    (400, "empty_body bad_json bad_xml bad_form bad_encoding bad_gzip too_many_fields cut_off"),
    (401, "unauthorized bad_signature stale_signature"), (405, "wrong_method"), (408, "too_slow"),
    (413, "too_large too_many"),
    (422, "required not_an_object wrong_type duplicate_key empty empty_batch forbidden cap_reached"),
    (429, "too_many_requests too_many_failures"), (500, "failed"), (503, "unavailable not_configured"),
)  # fmt: skip
_GROUPS = {
    "person": "email",
    "enquiry": "product",
    "origin": "channel",
    "submission": "occurred_at",
}  # and its first field
_OF_KEYS, _OF_SIGNATURES = (
    frozenset({"unauthorized"}),
    frozenset({"bad_signature", "stale_signature", "not_configured"}),
)
_TIMED = frozenset({"calendly", "hubspot", "mailgun", "standard-webhooks", "tiktok"})
_MOST_FORM_FIELDS = 500
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "vary": "accept, accept-language",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field of ours, the names that the source's map has for it, and its usual ones."""

    name: str
    theirs: tuple[str, ...]
    usual: tuple[str, ...]


def is_wanted(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks."""
    return "text/html" in headers.get("accept", "")


def page(source: Source, url: str, headers: Mapping[str, str]) -> Response:
    """The source's page in the reader's language; `url` is the source's own address."""
    language = language_of(headers.get("accept-language", ""), copy())
    return Response(html(source, url, language), 200, _HEADERS, "text/html; charset=utf-8")


def html(source: Source, url: str, language: str) -> str:
    """The page's text."""
    say, preset = copy()[language], presets().get(source.preset or "")
    scheme = source.signature.scheme if source.signature else None
    tolerance_s = source.signature.tolerance_s if source.signature else 0
    return _template().render(
        language=language, say=say, source=source, url=url, scheme=scheme,
        product=_in(language, preset.title, preset.title_es) if preset else None,
        unverified=preset is not None and not preset.verified,
        how=_in(language, preset.how, preset.how_es) if preset else None,
        proof=say["by_signature"][scheme].format(field=source.signature.field) if source.signature else None,
        minutes=max(1, tolerance_s // 60) if scheme in _TIMED else None,
        required=[choice.split("|") for choice in source.required],
        example=_example(source, url, say),
        errors=list(_errors(source)),
        fields=list(_fields(source)),
        limits=say["limit_body"].format(
            megabytes=MOST_BYTES // 2**20, kilobytes=MOST_ITEM_BYTES // 2**10, items=MOST_ITEMS,
            fields=_MOST_FORM_FIELDS),
    )  # fmt: skip


def _in(language: str, english: str, spanish: str | None) -> str:
    return spanish if language == "es" and spanish else english


@cache
def copy() -> Mapping[str, Any]:
    """All words by language."""
    said: Mapping[str, Any] = yaml.safe_load(files("services.intake.sources").joinpath("page.yaml").read_text("utf-8"))
    return said


@cache
def _template() -> Template:
    text = files("services.intake.sources").joinpath("page.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["words"] = _words
    return environment.from_string(text)


def _words(text: str) -> Markup:
    """Text with what stands between backticks set as code."""
    parts = [
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _errors(source: Source) -> Iterator[tuple[int, str]]:
    """What this source may answer."""
    not_its_own = _OF_KEYS if source.signature else _OF_SIGNATURES
    yield from ((status, code) for status, codes in ERRORS for code in codes.split() if code not in not_its_own)


def _fields(source: Source) -> Iterator[tuple[str, list[Row]]]:
    """The fields in their groups; by contract only those that are kept."""
    names, firsts = list(FIELDS), [*_GROUPS.values()]
    cuts = [*map(names.index, firsts), len(names)]
    for group, start, end in zip(_GROUPS, cuts, cuts[1:], strict=False):
        rows = [_row(name, source) for name in names[start:end] if not source.allowed or name in source.allowed]
        if rows:
            yield group, rows


def _row(name: str, source: Source) -> Row:
    own = tuple(their for their, ours in source.fields.items() if ours == name)
    return Row(name, own, tuple(usual for usual in FIELDS[name].split() if usual not in own))


def _example(source: Source, url: str, say: Mapping[str, Any]) -> str:
    """A request by curl; of a product that signs its own, the body alone."""
    example = example_for(source)
    if source.signature and source.signature.scheme != "body-field":
        return example.text.strip()
    lines = [f"curl '{url}{_suffix(source)}'"]
    if not source.signature:
        lines.append(f"-H 'X-API-Key: {say['key_word']}'")
    return " \\\n  ".join([*lines, *_sent(source, example, say)])


def _suffix(source: Source) -> str:
    return "/submissions/v3/integration/submit/PORTAL/FORM" if source.protocol == "hubspot-form" else ""


def _sent(source: Source, example: Example, say: Mapping[str, Any]) -> Iterator[str]:
    if example.is_form:
        yield from ["--get"] if source.query else []
        yield from ("--data-urlencode '{}'".format(line.replace("'", "'\\''")) for line in example.text.splitlines())
        return
    yield f"-H 'Content-Type: {example.content_type}'"
    body = example.text.strip().replace("YOUR-SECRET", say["secret_word"])
    yield f"--data-binary @- <<'END'\n{body}\nEND"
