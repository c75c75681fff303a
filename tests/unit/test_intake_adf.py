"""ADF is read as it is sent: mostly no XML, sometimes an attack."""

import time

import pytest

from services.intake.sources.adf import MOST_PROSPECTS, read_adf

MAIL = """Dear dealer, a lead for you:
<?ADF VERSION "1.0"?><?XML VERSION="1.0"?>
<ADF><PROSPECT STATUS=new>
<ID sequence=1 source="CarPortal"></ID><ID sequence=2 source=CarPortal>00123</ID>
<requestdate>2000-03-30T15:30:20-08:0</requestdate>
<vehicle interest="buy" status=new><year>2026<make>Example<model>Runner & Co</model></vehicle>
<vehicle interest=trade-in><year>1999</year><make>Old</make></vehicle>
<customer><contact><name part="first">Ana</name><name part="last">Soto</name><email>ana@example.com</email>
<phone type=voice time="morning">+34 600 000 011</phone><phone type="cellphone">+34 600 000 012</phone>
<address><street line="1">Calle 1</street><street line=2>2B</street><city>Madrid</city><country>ES</country></address>
</contact><comments>Price & terms, <b>now</b>; caf&eacute; <![CDATA[a < b]]></comments></customer>
<provider><name part=full>Portal</name></provider></prospect>
<prospect><id></id><customer><contact><name part=full>Luis<email>luis@example.org</contact></customer>
</adf> Best regards"""


def test_prospects_are_read_from_what_is_no_xml() -> None:
    first, second = read_adf(MAIL)
    assert first.content == {
        "given_name": "Ana", "family_name": "Soto", "email": "ana@example.com", "phone": "+34 600 000 012",
        "phone_2": "+34 600 000 011", "phone_time": "morning", "street": "Calle 1, 2B", "city": "Madrid",
        "country": "ES",
        "message": "Price & terms, now; café a < b", "product": "2026 Example Runner & Co", "vehicle_interest": "buy",
        "vehicle_status": "new", "vehicle_2": "1999 Old", "vehicle_2_interest": "trade-in",
        "occurred_at": "2000-03-30T15:30:20-08:00", "adf_status": "new", "provider": "Portal",
    }  # fmt: skip
    assert second.content == {"name": "Luis", "email": "luis@example.org"}


def test_the_key_is_the_first_id_that_is_not_empty_with_who_gave_it() -> None:
    assert [prospect.key for prospect in read_adf(MAIL)] == ["adf|CarPortal|00123", None]


def test_the_raw_text_is_the_prospects_own() -> None:
    assert read_adf(MAIL)[1].raw.startswith("<prospect><id></id>")
    assert "Best regards" not in read_adf(MAIL)[1].raw


@pytest.mark.parametrize(
    ("written", "read"),
    [("2008-06-25T8:47:50", "2008-06-25T08:47:50"), ("2026-11-03", "2026-11-03"),
     ("2026-1-3 4:05Z", "2026-01-03T04:05:00+00:00"),
     ("soon", "soon")],
)  # fmt: skip
def test_dates_are_mended(written: str, read: str) -> None:
    assert read_adf(f"<prospect><requestdate>{written}</requestdate>")[0].content == {"occurred_at": read}


def test_a_mail_that_shows_the_xml_escaped_is_read_too() -> None:
    mail = "&lt;prospect&gt;&lt;customer&gt;&lt;contact&gt;&lt;email&gt;a@example.com&lt;/email&gt;"
    assert read_adf(mail)[0].content == {"email": "a@example.com"}


def test_no_entity_is_resolved_and_nothing_is_fetched() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE adf [<!ENTITY l0 "ha">{laughs}<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    text = f"{doctype}<adf><prospect><customer><comments>&l9;&x;</comments>"
    assert read_adf(text)[0].content == {"message": "&l9;&x;"}


HOSTILE = {
    "tags": ("<customer><comments>", "<"), "comments": ("<customer><comments>", "<!--"),
    "cdata": ("<customer><comments>", "<![CDATA["), "open tags": ("<customer><comments>", "<a "),
    "elements": ("<customer><comments>", "<a>"), "ends": ("<customer><comments>", "</a>"),
    "quotes": ("<customer><comments>", "<a b='"), "attributes": ("<customer><comments>", "a="),
    "ampersands": ("<customer><comments>", "&"), "entities": ("<customer><comments>", "&amp;"),
    "a name without an end": ("<", "a"), "an attribute without an end": ("<customer ", "a"),
    "a declaration without an end": ("<!", "a"), "an attribute's spaces": ("<customer a", " "),
}  # fmt: skip


@pytest.mark.parametrize("end", ["", ">"])
@pytest.mark.parametrize(("start", "again"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_read_in_linear_time(start: str, again: str, end: str) -> None:
    """Eight times the text takes eight times as long, and sixty-four times where each place looks at all others."""
    short, long = (
        _time_to_read("<adf><prospect>" + start + again * (size // len(again)) + end) for size in (25_000, 200_000)
    )
    assert long < 30 * short


def _time_to_read(text: str) -> float:
    def once() -> float:
        began = time.process_time()
        assert len(read_adf(text)) == 1
        return time.process_time() - began

    return min(once() for _ in range(3)) + 0.001  # the clock's own steps


def test_a_name_or_a_tag_without_bounds_is_text_and_the_rest_is_read() -> None:
    email = "<customer><contact><email>a@example.com</email></contact></customer>"
    for odd in (
        f"<{'a' * 200_000}",
        f"<{'a' * 200}></{'a' * 200}>",
        f"<vehicle {'a' * 9000}='1'>",
        f"<vehicle {'b' * 65}=1>",
    ):
        assert read_adf(f"<prospect>{odd}</vehicle>{email}")[0].content.get("email") == "a@example.com"


def test_a_number_that_no_letter_has_is_read_however_long() -> None:
    comments = "<prospect><customer><comments>caf&#233; &#" + "9" * 5000
    assert read_adf(comments)[0].content == {"message": "café \ufffd"}


def test_the_number_of_prospects_is_bounded() -> None:
    assert len(read_adf("<prospect>" * (MOST_PROSPECTS + 5))) == MOST_PROSPECTS
