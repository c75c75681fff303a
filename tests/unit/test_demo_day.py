"""The sample day: the same every time, in the formats in which sources really send, and about nobody who exists."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from itertools import islice
from typing import Any

import pytest

from deploy.demo.day import CLOUDEVENT, CSV, FORM, JSON, PLATFORM, Parcel, day
from deploy.demo.letters import FILES, samples
from deploy.demo.people import people
from schemas import codec
from schemas.events.leads import LeadReceived
from schemas.topics import source_topic
from services.cli.leadfiles import read_leads
from services.intake.arrival import Accepted, Arrival, Refused
from services.intake.parse import form_text, parse_form, parse_json
from services.intake.rules import SourceRules
from services.intake.submission import lead_of, read_lead
from services.runtime.rulebook import parse_book

NOW = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
SOURCES = parse_book("sources", files("deploy.rules").joinpath("sources.yaml").read_text(), SourceRules).rules.sources
FICTION = re.compile(r"\+34600000\d{3}|\+1\d{3}55501\d\d|\+44(20|1[136]1|121|11[37])(7946|496)0\d{3}")
ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)([\w.-]+)", re.ASCII)


@pytest.fixture(scope="module")
def parcels() -> list[Parcel]:
    return day()


def contents(parcel: Parcel) -> Iterator[tuple[Any, str]]:
    """The items of a parcel, as intake gets to see them, each with its text."""
    if parcel.content_type == CSV:
        yield from ((row, str(row)) for row in read_leads(parcel.body))
    elif parcel.content_type == FORM:
        yield parse_form(parcel.body), form_text(parcel.body)
    elif parcel.source == PLATFORM:
        headers = [("content-type", parcel.content_type.encode())]
        body = codec.read(source_topic(PLATFORM), b"key", parcel.body, headers, "2026-03-02").body
        yield parse_json(body), body.decode()
    else:
        yield parse_json(parcel.body), parcel.body.decode()


def taken(parcel: Parcel) -> Iterator[Accepted | Refused]:
    source = SOURCES[parcel.source]
    for content, raw in contents(parcel):
        yield read_lead(Arrival(source, content, raw, None, NOW, NOW, "s" * 32))


def leads_in(parcels: list[Parcel]) -> Iterator[LeadReceived]:
    for parcel in parcels:
        if parcel.kind != "poison":
            for result in taken(parcel):
                assert isinstance(result, Accepted), (parcel, result)
                yield lead_of(result.events[0])


def test_the_same_number_gives_the_same_day_and_another_number_other_people() -> None:
    assert day(200, 3) == day(200, 3)
    first, second = (set(re.findall(rb"[\w.-]+(?:@|%40)", b"".join(p.body for p in day(200, n)))) for n in (1, 2))
    assert len(first & second) < 20, "only poison names the same people every day"


def test_it_goes_from_midnight_to_midnight_in_order(parcels: list[Parcel]) -> None:
    times = [parcel.at for parcel in parcels]
    assert times == sorted(times)
    assert 0 <= times[0] < 1800
    assert 82_800 < times[-1] < 86_400


def test_intake_takes_all_but_the_poison_and_at_least_5000_people_can_be_reached(parcels: list[Parcel]) -> None:
    reached = {
        lead.identity
        for lead in leads_in(parcels)
        if not lead.is_test and (lead.email_quality == "ok" or lead.phone_quality == "ok")
    }
    assert len(reached) >= 5000


def test_resends_repeats_bad_phones_tests_and_the_unreachable_have_their_share(parcels: list[Parcel]) -> None:
    kinds = Counter({p.kind: 0 for p in parcels})
    for p in parcels:
        kinds[p.kind] += p.holds
    submissions = kinds.total()
    assert 0.05 < kinds["resend"] / submissions < 0.08
    assert 0.06 < kinds["repeat"] / submissions < 0.09
    bad = sum(lead.phone_quality in ("invalid", "implausible") for lead in leads_in(parcels))
    assert 0.04 < bad / submissions < 0.07
    assert min(kinds[kind] for kind in ("test", "role", "nameless", "implausible", "poison")) >= 15


def test_a_resend_repeats_bytes_and_a_repeat_keeps_an_address(parcels: list[Parcel]) -> None:
    firsts = [p for p in parcels if p.kind != "resend"]
    bodies = {(p.source, p.body) for p in firsts}
    assert len(bodies) == len(firsts)
    assert all((p.source, p.body) in bodies for p in parcels if p.kind == "resend")
    known = {lead.identity for lead in leads_in([p for p in firsts if p.kind != "repeat"])}
    assert all(lead.identity in known for lead in leads_in([p for p in firsts if p.kind == "repeat"]))


def test_every_source_sends_in_its_own_format_in_both_languages(parcels: list[Parcel]) -> None:
    forms = {(p.source, p.content_type) for p in parcels if p.kind != "poison"}
    assert forms == {
        ("website", JSON), ("landing-pages", FORM), ("fair", CSV), ("phone-desk", JSON),
        (PLATFORM, JSON), (PLATFORM, CLOUDEVENT),
    }  # fmt: skip
    lists = [p.body for p in parcels if p.content_type == CSV]
    assert all(body.startswith("\ufeffNº;Nombre y apellidos;".encode()) and b"\r\n" in body for body in lists)
    languages = Counter(lead.contact.language for lead in leads_in(parcels))
    assert languages.keys() == {"es", "en"}
    assert min(languages.values()) > 1500


def test_nobody_in_it_exists(parcels: list[Parcel]) -> None:
    whole = b"\n".join(p.body for p in parcels).decode(errors="replace")
    domains = {domain.lower().rstrip(".") for domain in ADDRESS.findall(whole)}
    assert {".".join(d.split(".")[-2:]) for d in domains} <= {"example.com", "example.org", "example.net", "exam"}
    phones = {lead.contact.phone for lead in leads_in(parcels) if lead.phone_quality == "ok"}
    assert len(phones) > 2000
    assert all(FICTION.fullmatch(phone or "") for phone in phones)


@pytest.mark.parametrize("source", FILES)
def test_the_samples_can_be_sent_as_they_are_and_name_nobody_who_exists(source: str) -> None:
    data = files("deploy.demo").joinpath(FILES[source]).read_bytes()
    assert len(samples(source)) >= 40
    lines = [data] if source == "fair" else data.splitlines()
    kind = {"fair": CSV, "landing-pages": FORM}.get(source, JSON)
    sent = [Parcel(0, source, CLOUDEVENT if b'"specversion"' in n else kind, n, "sample") for n in lines]
    found = list(leads_in(sent))
    assert len(found) == len(samples(source))
    for lead in found:
        assert lead.email_quality == "ok"
        assert re.search(r"[@.]example\.(com|org|net)$", lead.contact.email or "")
        assert lead.phone_quality == "missing" or FICTION.fullmatch(lead.contact.phone or "")


def test_no_two_people_share_an_address_or_a_number() -> None:
    crowd = [p for language in ("es", "en") for p in islice(people(random.Random(1), 1, language), 3000)]
    numbers = [p.international for p in crowd if p.international]
    assert len({p.email for p in crowd}) == len(crowd)
    assert len(set(numbers)) == len(numbers) > 2000


def test_poison_is_refused_or_cleaned_and_never_breaks_the_reader(parcels: list[Parcel]) -> None:
    poison = [p for p in parcels if p.kind == "poison"]
    assert {p.source for p in poison} == {"website", "landing-pages", PLATFORM}
    assert any(b"\\u0000" in p.body for p in poison)
    assert any(p.content_type == CLOUDEVENT for p in poison)
