"""XML of strangers: read as objects, with nothing of it obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.parse import Unparsed
from services.intake.xmltree import parse_xml

LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]><x>&a9;</x>',
    "quadratic blow-up": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><x>{"&a;" * 10_000}</x>',
    "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "external DTD": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]><x/>',
    "harmless DTD": "<!DOCTYPE x><x/>",
    "entity without DTD": "<x>&e;</x>",
    "51 levels": "<a>" * 51 + "</a>" * 51,
    "20,000 levels without an end": "<a>" * 20_000,
    "5,001 elements": "<a>" + "<b/>" * 5000 + "</a>",
    "5,000 attributes": "<a " + " ".join(f'a{n}=""' for n in range(5000)) + "/>",
    "more than 256 KB": "<a>" + "x" * 262_144 + "</a>",
    "NUL": "<a>\x00</a>",
    "half a pair": "<a>&#xD800;</a>",
    "two roots": "<a/><b/>",
    "unknown prefix": "<c:a/>",
    "attribute twice": '<a b="1" b="2"/>',
    "unknown encoding": '<?xml version="1.0" encoding="x-none"?><a/>',
    "encoding of several bytes": '<?xml version="1.0" encoding="utf-7"?><a/>',
    "cut off": "<a><b>1</b>",
    "nothing": "",
    "no XML": "email=a@example.com",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_or_no_xml_is_refused_with_a_reason_and_without_its_text(case: str) -> None:
    read = parse_xml(HOSTILE[case].encode())
    assert isinstance(read, Unparsed)
    assert read.code == "bad_xml"
    assert "example.com" not in read.message
    assert len(read.message) < 150


@pytest.mark.parametrize(
    ("written", "read"),
    [("<lead><email>ana@example.com</email><name> Ana\n</name></lead>", {"email": "ana@example.com", "name": "Ana"}),
     ('<lead id="7"><phone type="home">1</phone></lead>', {"@id": "7", "phone": {"@type": "home", "#text": "1"}}),
     ("<l><t>a</t><n>x</n><t>b</t><t/></l>", {"t": ["a", "b", ""], "n": "x"}),
     ("<l><t><u>1</u></t><t><u>2</u></t></l>", {"t": [{"u": "1"}, {"u": "2"}]}),
     ('<c:l xmlns:c="urn:c" xmlns:d="urn:d" c:k="1" d:k="2"><c:n>a</c:n><d:n>b</d:n></c:l>',
      {"@k": "1", "n": ["a", "b"]}),
     ("<l>text<b>bold</b>more</l>", {"b": "bold", "#text": "textmore"}),
     ("<l><note><![CDATA[<b>&amp;]]></note><a>&lt;&#225;</a></l>", {"note": "<b>&amp;", "a": "<á"}),
     ("<only>words</only>", {"#text": "words"}), ("<none/>", {"#text": ""}), ("<l><e/></l>", {"e": ""}),
     ("<l><!-- a comment --><?php echo 1 ?><a>1</a></l>", {"a": "1"})],
)  # fmt: skip
def test_elements_become_fields(written: str, read: object) -> None:
    assert parse_xml(written.encode()) == read


def test_an_inclusion_is_words_and_is_not_followed() -> None:
    written = b'<l xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/hostname" parse="x"/></l>'
    assert parse_xml(written) == {"include": {"@href": "file:///etc/hostname", "@parse": "x"}}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encoding_that_a_document_names_is_its_encoding(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    body = f'<?xml version="1.0" encoding="{name}"?><l><n>José</n></l>'.encode(encoding)
    assert parse_xml(body) == {"n": "José"}


@pytest.mark.parametrize(("levels", "fits"), [(50, True), (51, False)])
def test_fifty_levels_are_read(levels: int, fits: bool) -> None:
    assert isinstance(parse_xml(b"<a>" * levels + b"</a>" * levels), Unparsed) is not fits


@given(st.binary(max_size=200) | st.text("<>&/=ab' \"!?[]-;#%x", max_size=80).map(str.encode))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(parse_xml(body), dict | Unparsed)
