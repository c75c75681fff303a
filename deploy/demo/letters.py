"""Who writes what on the sample day: people, what each shows, and the sample payloads filled with them."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

import yaml

from deploy.demo.people import Person, people
from services.intake.fields import canonical

FILES = {
    "website": "website.jsonl", "landing-pages": "forms.txt", "fair": "fair.csv",
    "partner-feed": "platform.jsonl", "phone-desk": "desk.jsonl",
}  # fmt: skip
SHARES = {"website": 36, "landing-pages": 24, "fair": 18, "partner-feed": 16, "phone-desk": 6}
RUSH = (1, 1, 1, 1, 1, 2, 3, 6, 10, 14, 15, 14, 12, 10, 8, 9, 12, 14, 13, 12, 10, 7, 4, 2)
"""How much comes in each hour of the day, relative to the others."""
BAD_PHONES = ("12345", "no tengo", "600 000", "call me", "+34 6", "0000000", "n/a", "555")
ROLES = ("info", "ventas", "compras", "sales", "office")


@dataclass(frozen=True, slots=True)
class Letter:
    """One submission before it is packed: by whom, when (seconds since midnight), through which source.

    `kind` says what it shows: lead, bad_phone, test, repeat, role, nameless or implausible.
    """

    at: float
    source: str
    sample: Mapping[str, Any]
    person: Person
    number: int
    kind: str

    def filled(self) -> dict[str, Any]:
        """The sample with this person in it."""
        return _fill(self.sample, _values(self), _renamed().get(self.source, {}))


def letters(rng: random.Random, leads: int, number: int) -> list[Letter]:
    """All letters of the day `number`; at least `leads` of their writers become leads."""
    first = list(_first(rng, leads, number))
    return [*first, *_repeats(rng, first), *_hopeless(rng, first)]


def moment(rng: random.Random) -> float:
    """A second of the day, more likely in busy hours."""
    hour = rng.choices(range(24), RUSH)[0]
    return round((hour + rng.random()) * 3600, 1)


def later(rng: random.Random, at: float) -> float:
    """A moment within the three hours after another, still on the same day."""
    return round(min(at + rng.uniform(30, 10_800), 86_399), 1)


def text_of(name: str) -> str:
    """A file of the demo."""
    return files("deploy.demo").joinpath(name).read_text(encoding="utf-8")


def _first(rng: random.Random, leads: int, number: int) -> Iterator[Letter]:
    """One for each person; every seventeenth gives a phone that is none, one in 200 is a test of the sender's."""
    crowd = {language: people(rng, number, language) for language in ("es", "en")}
    for n in range(leads + leads // 200):
        kind = "test" if n % 201 == 200 else "bad_phone" if n % 17 == 7 else "lead"
        source = "website" if kind == "test" else rng.choices(list(SHARES), list(SHARES.values()))[0]
        sample = rng.choice(samples(source))
        yield Letter(moment(rng), source, sample, next(crowd[language_of(sample)]), n, kind)


def _repeats(rng: random.Random, first: Sequence[Letter]) -> Iterator[Letter]:
    """Eight in a hundred ask again later, by another way, every other one with the address in capitals."""
    known = [letter for letter in first if letter.kind == "lead"]
    for n, letter in enumerate(rng.sample(known, len(first) * 8 // 100)):
        source = rng.choice([s for s in ("website", "landing-pages", "phone-desk") if s != letter.source])
        sample = rng.choice([s for s in samples(source) if language_of(s) == letter.person.language])
        yield Letter(later(rng, letter.at), source, sample, letter.person, len(first) + n, "repeat")


def _hopeless(rng: random.Random, first: Sequence[Letter]) -> Iterator[Letter]:
    """Two in a hundred reach nobody: a company's address, no address at all, or two that cannot be real."""
    for n, letter in enumerate(rng.sample(list(first), len(first) // 50)):
        kind = ("role", "nameless", "implausible")[n % 3]
        yield Letter(moment(rng), "phone-desk", rng.choice(samples("phone-desk")), letter.person, 10**6 + n, kind)


def _values(letter: Letter) -> dict[str, str]:
    who = letter.person
    email, phone = _addresses(letter)
    surname_apart = any(canonical(name) == "family_name" for name in letter.sample)
    return {
        "email": email, "phone": phone or "",
        "name": who.given_name if surname_apart else f"{who.given_name} {who.family_name}",
        "given_name": who.given_name, "family_name": who.family_name, "company": who.company, "city": who.city,
        "postcode": who.postcode, "country": who.country,
        "external_id": f"PF-{who.email.partition('@')[0].rpartition('.')[2]}-{letter.number}",
    }  # fmt: skip


def _addresses(letter: Letter) -> tuple[str, str | None]:
    """E-mail and phone as this letter gives them."""
    who, number = letter.person, letter.number
    match letter.kind:
        case "bad_phone":
            return who.email, BAD_PHONES[number % len(BAD_PHONES)]
        case "role":
            return f"{ROLES[number % len(ROLES)]}@company{number}.example.com", ""
        case "nameless":
            return "", ""
        case "implausible":
            return f"{who.given_name} at home", "1234"
    says_country = any(canonical(name) == "country" for name in letter.sample)
    email = who.email.upper() if letter.kind == "repeat" and number % 2 else who.email
    return email, who.national if says_country else who.international


def _fill(sample: Mapping[str, Any], values: Mapping[str, str], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The sample with the values in the fields that have some, whatever this source calls them."""
    filled: dict[str, Any] = {}
    for name, old in sample.items():
        field = "external_id" if name == "id" and "specversion" in sample else renamed.get(name) or canonical(name)
        field = field or name
        filled[name] = _fill(old, values, renamed) if isinstance(old, dict) else old
        if field in values and old != "" and not isinstance(old, dict):
            filled[name] = values[field]
    return filled


@cache
def samples(source: str) -> tuple[Mapping[str, Any], ...]:
    """The sample payloads of a source, parsed."""
    text = text_of(FILES[source])
    if source == "landing-pages":
        return tuple(_gathered(parse_qsl(line, keep_blank_values=True)) for line in text.splitlines())
    if source == "fair":
        return tuple(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    return tuple(json.loads(line) for line in text.splitlines())


def language_of(sample: Mapping[str, Any]) -> str:
    """`es` or `en`: the language in which a sample is written."""
    flat = sample.get("data", sample)
    flat = {**flat, **(flat.get("contact") or {})}
    return next(str(value)[:2] for name, value in flat.items() if canonical(name) == "language")


def _gathered(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return {name: values if name.endswith("[]") else values[0] for name, values in lists.items()}


@cache
def _renamed() -> Mapping[str, Mapping[str, str]]:
    """The odd field names that the default sources book maps."""
    book = yaml.safe_load(files("deploy.rules").joinpath("sources.yaml").read_text(encoding="utf-8"))
    return {name: (source or {}).get("fields", {}) for name, source in book["sources"].items()}
