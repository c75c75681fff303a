"""Invented people for the sample day: common names joined at random, reserved domains, numbers kept for fiction."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

GIVEN = {
    "es": "Ana Luis Marta Jorge Elena Pablo Lucía Iván Nuria Óscar Rocío Sergio Begoña Tomás Inés Raúl Gonzalo "
    "Pilar Andrés Noelia Íñigo Carla Matías Ximena Joaquín Belén Rubén Aitana Félix",
    "en": "Grace Oliver Hannah Peter Chloe Martin Ruth Daniel Alice Simon Megan Patrick Laura Kevin Joan Stephen Erin "
    "Colin Naomi Trevor Sarah Liam Judith Owen Clara Graham Fiona Dylan Helen Brian",
}
FAMILY = {
    "es": "García Pérez Soto Ruiz Vega Molina Rey Ibarra Núñez Campos Ferrer Lozano Prieto Peña Bravo Salas Marín "
    "Esteban Pardo Cano Rivas Ortega Muñoz Vidal Crespo Nieto Durán Gallego Mora",
    "en": "Smith Brown Taylor Walker Marsh Cooper Bailey Hughes Foster Barnes Reid Porter Lane Webb Hart Gibson Dunn "
    "Fletcher Pearce Shaw Doyle Mills Grant Holt Carver Flynn Nash Ridley Stone Wood",
}
COMPANIES = {
    "es": ("Aguas del Ejemplo SL", "Talleres Muestra", "Bodegas Ficticias SA", "Lácteos Modelo", "Riegos Prueba"),
    "en": ("Example Water Ltd", "Sample Brewing Co", "Placeholder Foods Inc", "Mockup Paper Mills", "Specimen Pools"),
}
COUNTRIES = {"es": {"ES": 72, "US": 13, "MX": 7, "CO": 4, "AR": 4}, "en": {"GB": 48, "US": 45, "IE": 7}}
PLACES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ES": (("Zaragoza", "50001"), ("Bilbao", "48001"), ("Vigo", "36201"), ("Burgos", "09001"), ("Madrid", "28001"),
           ("Sevilla", "41001"), ("Valencia", "46001"), ("Málaga", "29001"), ("Murcia", "30001")),
    "GB": (("London", "EC1A 1AA"), ("Leeds", "LS1 1AA"), ("Bristol", "BS1 1AA"), ("Glasgow", "G1 1AA")),
    "US": (("Portland", "97201"), ("Austin", "78701"), ("Denver", "80202"), ("Miami", "33101")),
    "IE": (("Dublin", "D01 X2X2"), ("Cork", "T12 X2X2")),
    "MX": (("Puebla", "72000"), ("Monterrey", "64000")),
    "CO": (("Medellín", "050001"), ("Bogotá", "110111")),
    "AR": (("Rosario", "S2000"), ("Córdoba", "X5000")),
}  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "correo.example.org")
NUMBERS_A_DAY = {"ES": 999, "GB": 1400, "US": 1400}
_UK = ("20 7946 0", "113 496 0", "117 496 0", "161 496 0", "131 496 0", "141 496 0", "121 496 0")  # kept for drama
_US = (202, 212, 213, 214, 305, 312, 404, 415, 503, 512, 602, 617, 646, 702, 713, 718, 786, 801, 808, 907, 916, 919)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist. Phones are written as people write them; None where no fictional number is left."""

    email: str
    given_name: str
    family_name: str
    language: str
    country: str
    city: str
    postcode: str
    company: str
    national: str | None
    international: str | None


def people(rng: random.Random, day: int, language: str) -> Iterator[Person]:
    """People without end, each with an address of their own; another day brings other people."""
    numbers = {country: _numbers(country, day) for country in NUMBERS_A_DAY}
    given, family = GIVEN[language].split(), FAMILY[language].split()
    countries = COUNTRIES[language]
    serial = 0
    while True:
        serial += 1
        country = rng.choices(list(countries), list(countries.values()))[0]
        if country == "US" and language == "es":
            national, international = None, None  # both languages would draw the same numbers
        else:
            national, international = next(numbers.get(country, iter(())), (None, None))
        first, last = rng.choice(given), rng.choice(family)
        address = f"{plain(first)}.{plain(last)}.{language}{day}-{serial}@{rng.choice(DOMAINS)}"
        city, postcode = rng.choice(PLACES[country])
        company = rng.choice(COMPANIES[language])
        yield Person(address, first, last, language, country, city, postcode, company, national, international)


def plain(name: str) -> str:
    """A name as it stands in an address: lower case, no accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if c.isascii() and c.isalnum())


def _numbers(country: str, day: int) -> Iterator[tuple[str, str]]:
    """This day's share of a country's fictional numbers, national and international form."""
    share = NUMBERS_A_DAY[country]
    return islice(_ALL[country](), (day - 1) * share, day * share)


def _spanish() -> Iterator[tuple[str, str]]:
    return ((f"600 000 {n:03d}", f"+34 600 000 {n:03d}") for n in range(1, 1000))


def _british() -> Iterator[tuple[str, str]]:
    return ((f"0{area}{n:03d}", f"+44 {area}{n:03d}") for area in _UK for n in range(1000))


def _american() -> Iterator[tuple[str, str]]:
    return ((f"({area}) 555-01{n:02d}", f"+1 {area}-555-01{n:02d}") for area in _US for n in range(100))


_ALL = {"ES": _spanish, "GB": _british, "US": _american}
