from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from schemas.tokens import sign
from services.nurture.channels.letters import Letter, Letters, plain
from services.nurture.channels.mail import Envelope, compose, message_id
from tests.nurture_cases import BOOK, SECRET, hashed, lead_id

SENDER = BOOK.rules.sender
TOKEN = sign(SECRET, hashed(), "email", "marketing")
URL = f"https://leads.example.com/u/{TOKEN}"
LETTERS = Letters()


def envelope(to: str = "maya@example.com", name: str = "Maya") -> Envelope:
    moment = datetime(2031, 5, 6, 10, tzinfo=UTC)
    return Envelope(to, name, message_id(lead_id(), 2, SENDER), moment, "es", URL, TOKEN)


def written(name: str = "Maya", product: str = "espectrómetro", template: str = "welcome") -> Letter:
    data = {"name": plain(name, 40), "company": "", "product": plain(product), "sender": SENDER, "unsubscribe_url": URL}
    return LETTERS.write(template, "es", "Gracias por su consulta{{ ', ' + name if name }}", data)


def parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    return mail


def test_a_mail_carries_the_headers_of_rfc_8058_and_of_automatic_mail() -> None:
    raw = compose(written(), SENDER, envelope())
    mail = parsed(raw)
    assert mail["List-Unsubscribe"] == f"<{URL}>, <mailto:{SENDER.unsubscribe}?subject={TOKEN}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"<{URL}>".encode() in raw, "the link stands in one piece"
    assert mail["Message-ID"] == f"<{lead_id()}.2@news.ribera.example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == datetime(2031, 5, 6, 10, tzinfo=UTC)
    assert mail["From"].addresses[0].addr_spec == SENDER.address
    assert mail["Reply-To"].addresses[0].addr_spec == SENDER.reply_to
    assert mail["To"].addresses[0].addr_spec == "maya@example.com"
    assert mail["Subject"] == "Gracias por su consulta, Maya"


def test_a_mail_has_text_and_html_in_lines_that_mail_servers_take() -> None:
    raw = compose(written(), SENDER, envelope())
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    text, html = (part.get_content() for part in parsed(raw).iter_parts())
    assert "espectrómetro" in text
    assert "espectrómetro" in html
    assert all(len(line) <= 72 for line in text.splitlines() if "://" not in line)


NASTY = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["\r\nBcc: x@example.com", "A\nB", "{{ 7*7 }}", "<script>alert(1)</script>", "a\x00b", "\u2028x", '"q"']
    ),
)


@settings(deadline=None)  # the first one compiles the templates
@given(NASTY, NASTY)
def test_what_a_lead_says_never_becomes_a_header_markup_or_code(name: str, product: str) -> None:
    letter = written(name, product)
    mail = parsed(compose(letter, SENDER, envelope(name=plain(name, 40))))
    assert mail["Bcc"] is None
    assert sorted(set(mail.keys())) == sorted(set(parsed(compose(written(), SENDER, envelope())).keys()))
    assert "<script" not in letter.html
    assert "49" not in letter.subject.replace(plain(name, 40), "")
    assert "\n" not in letter.subject


@pytest.mark.parametrize(
    "name", ["Win at https://evil.example", "www.evil.example", "x@evil.example", "a" * 61, "<b>Ana</b>"]
)
def test_a_name_that_is_an_advertisement_is_left_out(name: str) -> None:
    assert plain(name) == ""
    assert "evil" not in written(name).text


def test_names_keep_their_letters_and_lose_their_control_characters() -> None:
    assert plain("  José\u00a0María\r\n de la O\x07 ") == "José María de la O"
    assert plain(None) == ""


def test_html_escapes_what_the_text_shows_as_it_is() -> None:
    letter = written(product="Tom & Jerry's kit")
    assert "Tom & Jerry's kit" in letter.text
    assert "Tom &amp; Jerry&#39;s kit" in letter.html


def test_the_message_id_depends_on_enrolment_and_step_alone() -> None:
    assert message_id(lead_id(1), 1, SENDER) == message_id(lead_id(1), 1, SENDER)
    assert len({message_id(lead_id(n), s, SENDER) for n in (1, 2) for s in (1, 2)}) == 4


@pytest.mark.parametrize(
    "to", ["", "maya", "ma ya@example.com", "maya@example.com\r\nBcc: x@example.com", "año@example.com"]
)
def test_an_address_that_mail_cannot_carry_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="none that every mail server takes"):
        compose(written(), SENDER, envelope(to))


def test_a_long_address_stays_whole() -> None:
    to = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example.com"
    raw = compose(written(), SENDER, envelope(to))
    assert parsed(raw)["To"].addresses[0].addr_spec == to
    assert to.encode() in raw


def test_a_missing_template_is_an_error_of_the_template() -> None:
    with pytest.raises(TemplateError):
        written(template="nowhere")
