"""Every reason that the services give under the default books has a Spanish sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.events.event import Reason
from schemas.events.leads import Contact, Origin
from services.analytics.console.details import details
from services.analytics.console.reasons import SENTENCES, in_spanish
from services.analytics.console.words import WORDS, tongue
from services.analytics.timeline import Entry
from services.qualify import decide, recognise
from services.qualify.rules import ScoringRules
from services.qualify.scoring import _engaged
from services.router.choice import OBSTACLES, Standing, _parked, _skipped, choose
from services.router.rules import Rep, Routing
from services.runtime.rulebook import parse_book
from tests.router_leads import NOW, lead

BOOKS = Path(__file__).parents[2] / "deploy" / "rules"
SCORING: ScoringRules = parse_book("scoring", (BOOKS / "scoring.yaml").read_text(), ScoringRules).rules
ROUTING: Routing = parse_book("routing", (BOOKS / "routing.yaml").read_text(), Routing).rules
BARE = ROUTING.model_dump(by_alias=True) | {"default_pool": None}
WRITTEN_OUT = (
    ("activity", "Activity of kind page_view", "Actividad: página vista"),
    ("activity_retracted", "Activity of kind mail_click taken back", "Actividad anulada: clic en un correo"),
    ("won", "crm reports the lead won", "crm comunica el lead como ganado"),
    ("closed_won", "Closed as won", "Cerrado como ganado"),
    ("closed_lost", "Closed as lost", "Cerrado como perdido"),
    ("lost", "crm reports the lead lost: cost", "crm comunica el lead como perdido: precio"),
    (
        "unanswered",
        "Ana did not answer by 2026-03-02 09:00:00 UTC",
        "Ana no respondió antes del 2026-03-02 09:00:00 UTC",
    ),
    ("returned", "Ana gave it back: no reason given", "Ana lo devolvió: sin indicar motivo"),
    ("turn", "Next in turn: Ana (weight 2, 14 of 100 open leads)", "Le toca a Ana (peso 2, 14 de 100 leads abiertos)"),
    ("territory", "Territory: the rest of Spain (pool sur)", "Territorio: el resto de España (equipo sur)"),
    ("skipped_absent", "Passed over (away): Elvira, Ana", "Se saltan (ausentes): Elvira, Ana"),
)


def given() -> Iterator[Reason]:
    """All reasons of qualify and router that can be made without a running service."""
    yield from (decide.TEST, decide.NOBODY, decide.OPENED, decide.ATTACHED)
    yield from (recognise.BY_EMAIL, recognise.BY_PHONE, recognise.PHONE_OF_ANOTHER, recognise.NEW_PERSON)
    yield from (Reason(code=rule.code, text=rule.text) for rule in SCORING.disqualify)
    yield from (rule.reason for rule in SCORING.fit)
    yield from (rule.reason for rule in SCORING.priority)
    yield from (band.reason for band in SCORING.warmth)
    yield _engaged(3.0, SCORING)
    yield from (line.reason for line in ROUTING.territories)
    yield from (ROUTING.uncovered, Routing.model_validate(BARE).uncovered)
    reps: dict[str, list[Rep]] = {why: list(ROUTING.reps) for why in OBSTACLES}
    yield from (_skipped(why, ("Ana", "Bo")) for why in OBSTACLES)
    yield from (_parked("sur", {why: reps[why]}) for why in OBSTACLES)
    yield from (_parked("sur", reps), _parked("sur", {}))
    yield from choose(ROUTING, lead(contact=Contact(country="ES"), origin=Origin(source="web")), _idle(), ()).reasons


def _idle() -> dict[str, Standing]:
    return {rep.id: Standing(rep.id) for rep in ROUTING.reps}


def test_every_reason_of_the_services_has_its_spanish_sentence() -> None:
    assert [(r.code, r.text) for r in given() if in_spanish(r.code, r.text) is None] == []


@pytest.mark.parametrize(("code", "text", "spanish"), WRITTEN_OUT)
def test_a_sentence_keeps_what_stands_in_its_blanks(code: str, text: str, spanish: str) -> None:
    assert in_spanish(code, text) == spanish


def test_no_sentence_is_there_for_nothing() -> None:
    made = {r.code for r in given()} | {code for code, _, _ in WRITTEN_OUT} | {"asked_again"}
    assert {code for code, _, _ in SENTENCES} == made


def test_a_rule_book_that_says_it_in_its_own_words_is_shown_as_it_is() -> None:
    assert tongue("es").reason("email_usable", "Tiene buzón") == "Tiene buzón"
    assert tongue("es").reason("their_own", "Theirs") == "Theirs"
    assert tongue("en").reason("opened", decide.OPENED.text) == decide.OPENED.text
    assert tongue("es").reason("only_a_code", "") == "only_a_code"


def test_what_an_event_says_beside_its_reasons_is_shown_in_words() -> None:
    data = {"stage": "contacted", "reason": "lead.accepted", "value": 1234.5, "currency": "EUR", "note": "by"}
    told = Entry("1", "leads.outcomes.v1", "lead.won", NOW, NOW, (), None, data)
    assert list(details(told, tongue("es"))) == [
        ("Etapa", "contactado"), ("Motivo", WORDS["es"]["lead.accepted"]), ("Nota", "by"), ("Importe", "1.234,50 EUR"),
    ]  # fmt: skip
