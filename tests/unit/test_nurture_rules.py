import pytest
from jinja2 import Environment

from services.nurture.channels.letters import Letters
from services.nurture.rules import NurtureRules
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book
from tests.nurture_cases import BODY, BOOK


def test_the_default_book_has_copy_for_every_step_and_language() -> None:
    letters = Letters()
    rules: NurtureRules = BOOK.rules
    data = {
        "name": "Maya",
        "company": "",
        "product": "",
        "sender": rules.sender,
        "unsubscribe_url": "https://x.example/u/t",
    }
    for sequence in rules.sequences:
        for step in sequence.steps:
            assert set(step.subject) == {"en", "es"}
            for language, subject in step.subject.items():
                letter = letters.write(step.template, language, subject, data)
                for part in (letter.text, letter.html):
                    assert rules.sender.postal_address in part
                    assert "https://x.example/u/t" in part


def test_what_stops_a_sequence_is_never_what_it_is_for() -> None:
    for sequence in BOOK.rules.sequences:
        assert not set(sequence.stop.warmth) & set(sequence.audience.warmth or ())


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("after: 5s", "after: 5 seconds", "such as 90s"),
        ("after: 5s", "after: 5", "such as 90s"),
        ('from: "00:00"', "from: 20:00", "in quotes"),
        ("default_zone: Europe/Madrid", "default_zone: Madrid", "IANA"),
        ("lead.accepted,", "lead.acepted,", "not an outcome"),
        ("          en: \"Three questions", "          de: \"Three questions", "add a subject in en"),
        ("template: guide", "template: ../../etc/passwd", "pattern"),
        ("reply_to: sales@ribera.example.com", 'reply_to: "a@b.example\\r\\nBcc: c@d.example"', "pattern"),
        ("postal_address: Ribera", "postal_adress: Ribera", "postal_address"),
        ("website: https://", "website: javascript://", "pattern"),
    ],
)  # fmt: skip
def test_a_book_with_a_mistake_is_refused_with_the_line_and_a_remedy(right: str, wrong: str, says: str) -> None:
    assert right in BODY
    with pytest.raises(RulesInvalid, match=r"nurture\.yaml:\d+: ") as error:
        parse_book("nurture", BODY.replace(right, wrong, 1), NurtureRules, "nurture.yaml")
    assert says in str(error.value)


def test_two_sequences_of_one_name_are_refused() -> None:
    head, sequence = BODY.split("  - name: not-ready-yet")
    own, rest = sequence.split("\n# No mail between")
    twice = f"{head}  - name: not-ready-yet{own}  - name: not-ready-yet{own}\n# No mail between{rest}"
    with pytest.raises(RulesInvalid, match="one name"):
        parse_book("nurture", twice, NurtureRules)


def test_templates_run_in_a_sandbox_without_attributes_of_python() -> None:
    letters = Letters()
    with pytest.raises(Exception, match="unsafe"):
        letters._subject("{{ ''.__class__.__mro__ }}").render()
    assert Environment().from_string("{{ ''.__class__.__mro__ }}").render()
