"""What kind of file it is: by its first bytes, since suffixes lie; by its suffix only between two texts."""

from __future__ import annotations

import re
from typing import Literal

from services.intake.files.faults import FileRefused

Kind = Literal["delimited", "sheet", "vcard", "adf", "jsonl", "json"]
HEAD_BYTES = 65_536

_NOT_OURS = (
    (b"%PDF", "a PDF; export the table as CSV or XLSX"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
)
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_READ = "CSV, TSV, XLSX, XLS, ODS, JSON lines, vCard and ADF are"
_NO_LETTER = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_MOST_NO_LETTERS = 0.1  # of all characters; of random bytes it is a ninth and more, of lists a few odd bytes
_XML_STARTS = ("<?adf", "<adf", "<?xml", "<prospect", "<!doctype adf", "<!--")


def kind_of(head: bytes, text: str, suffix: str) -> Kind:
    """The kind of a file from its first bytes, the same decoded, and its suffix. Raises `FileRefused`."""
    if head.startswith((_ZIP, _OLE)):
        return "sheet"
    for magic, what in _NOT_OURS:
        if head.startswith(magic):
            raise FileRefused(f"the file is {what}")
    start = text.lstrip("\ufeff \t\r\n")[:4096]
    if not start:
        raise FileRefused("the file is empty: it holds no row")
    if len(_NO_LETTER.findall(text)) > len(text) * _MOST_NO_LETTERS:
        other = "for a text in another encoding than was found, name it with --encoding"
        raise FileRefused(f"the file is no list that is read: its bytes are no text; {_READ}; {other}")
    return _text_kind(start, text.lower(), suffix.lower())


def _text_kind(start: str, whole: str, suffix: str) -> Kind:
    lower = start.lower()
    if lower.startswith("begin:vcard"):
        return "vcard"
    if "<prospect" in whole and ("<adf" in whole or "<?adf" in whole):
        return "adf"
    if lower.startswith(_XML_STARTS) and suffix in (".adf", ".xml"):
        return "adf"
    if lower.startswith(("<!doctype html", "<html", "<table", "<?xml", "{\\rtf")):
        raise FileRefused("the file is a web page, an XML or an RTF document; open it and save it as XLSX or CSV")
    if start[0] == "{":
        return "jsonl"
    if start[0] == "[" and suffix in (".json", ".jsonl", ".ndjson"):
        return "json"
    return {".vcf": "vcard", ".adf": "adf", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(suffix, "delimited")  # type: ignore[return-value]  # literals all
